"""`fanlight schema`: the tables and views in a ClickHouse database."""

import re
from contextlib import closing
from typing import Annotated

import typer
from rich.progress import MofNCompleteColumn

from fanlight_collectors.cli.errors import CommandError, unusable
from fanlight_collectors.cli.figures import counted
from fanlight_collectors.cli.output import Cells, progress_bar, show_cells, terminal, write_text
from fanlight_collectors.cli.target import (
    UP_SCHEMES,
    StoreOption,
    find_target,
    no_tables,
    read_rows,
    require_folder,
)
from fanlight_collectors.cli.through_up import open_up
from fanlight_collectors.doctor.findings import Finding
from fanlight_schema import backfill, drift, migrate, otel_traces, retention
from fanlight_schema.store import DEFAULT_DATABASE, QueryError, Store, StoreError, open_store
from fanlight_schema.store.urls import parse_url

SHOWN_AT_MOST = 3  # of the names of what is missing


def apply(
    with_backfill: Annotated[
        bool,
        typer.Option(
            "--backfill", help="Also count the spans that were in otel_traces before fanlight's tables."
        ),
    ] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TABLE=DAYS",
            help="Drop older rows of a table: spans=400d; spans=400d,cold=30d also moves rows of 30 days to "
            "the volume cold of its storage policy; spans=forever drops none.",
        ),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Bring the tables and views of a store up to date.

    `fanlight up` does this by itself when it starts; you need it for a ClickHouse server that an
    OpenTelemetry Collector fills. An otel_traces that is there stays as it is. A backfill may run while spans
    come in, may be stopped, goes on where it was, and counts nothing twice.

    Examples:
      fanlight schema apply --store clickhouse://default:secret@localhost
      fanlight schema apply --backfill --store clickhouse://localhost/otel
      fanlight schema apply --keep otel_traces=30d --keep spans=400d
    """
    wanted = [_retention(text) for text in keep or []]
    target = find_target(store, for_writing=True)
    if target.startswith(UP_SCHEMES):
        _require_no_change(target, with_backfill or wanted)
        return
    with closing(open_store(target)) as opened:
        _apply(opened, with_backfill)
        for one in wanted:
            older = retention.keep(opened, one)
            kept = (
                f"{one.keep_days} days; {counted(older, 'row')} older than that will be dropped"
                if one.keep_days
                else "for good"
            )
            write_text(f"{one.table} is kept {kept}\n")
        if with_backfill:
            _backfill(opened)


def _apply(store: Store, with_backfill: bool) -> None:
    notes = otel_traces.notes(store)
    spans = _spans_before(store)
    with terminal(stderr=True).status("applying migrations") as shown:
        applied = migrate.apply(store, lambda name, done, total: shown.update(f"{done}/{total} {name}"))
    for one in applied:
        write_text(f"{one.version:04} {one.name} applied in {one.duration_s:.2f} s\n")
    write_text(f"{store.url}: {_count(len(applied))} applied, up to date\n")
    for note in notes:
        write_text(f"otel_traces was there and stays as it is: {note}\n")
    if spans and not with_backfill and any(one.name == "spans_mv" for one in applied):
        write_text(
            f"{counted(spans, 'span')} of before are in no figure yet; count them while others come in with: "
            f"fanlight schema apply --backfill --store {store.url}\n"
        )


def _spans_before(store: Store) -> int:
    return (
        store.query(f"SELECT count() FROM {otel_traces.TABLE}").rows[0][0]
        if otel_traces.described(store)
        else 0
    )


def _backfill(store: Store) -> None:
    """Spans in parts, the newest first, with how far it is."""
    rejects: dict[str, int] = {}
    spans = 0
    with progress_bar(terminal(stderr=True), MofNCompleteColumn()) as bar:
        task = bar.add_task("spans of before", total=None)
        for step in backfill.run(store):
            spans = step.spans_done
            for reason, number in step.rejects.items():
                rejects[reason] = rejects.get(reason, 0) + number
            bar.update(task, completed=step.spans_done, total=step.spans)
    write_text(f"{counted(spans, 'span')} of before are counted, or will be in a few seconds\n")
    for reason, number in sorted(rejects.items()):
        write_text(f"not taken: {counted(number, 'span')}, {reason} (they are in ingest_rejects)\n")


def _retention(text: str) -> retention.Retention:
    try:
        return retention.parse(text)
    except StoreError as error:
        raise unusable(f"--keep {error}") from error


def status(store: StoreOption = None) -> None:
    """Show which migrations a store has, and which tables and views are not as they should be.

    The exit code is 0 if all is as it should be, 1 if not, 2 if there is no store.

    Example:
      fanlight schema status --store clickhouse://localhost
    """
    target = find_target(store)
    states = _states(target)
    if all(one.state == "pending" for one in states):
        shown = _shown(target)
        raise CommandError(f"{shown} {no_tables(shown)}")
    rows = [[f"{one.version:04}", one.name, one.state] for one in states]
    show_cells(terminal(), Cells(["number", "name", "state"], [True, False, False], rows))
    if behind := _behind(states):
        raise CommandError(f"{_count(behind)} not as this fanlight has them; {_fix(target, states)}")
    if differences := _differences(target):
        for one in differences:
            write_text(f"{one.name}: {one.what}; {one.fix}\n")
        what = "place is" if len(differences) == 1 else "places are"
        raise CommandError(f"{len(differences)} {what} not as the migrations have it")


def behind(target: str) -> Finding | None:
    """What `doctor` tells where the store's tables are not this fanlight's; None where they are."""
    states = _states(target)
    if not (number := _behind(states)):
        return _gone(target)
    if number == len(states) and all(one.state == "pending" for one in states):
        what, _, fix = no_tables(_shown(target)).partition("; ")
        return Finding("wrong", f"the store {what}", fix)
    return Finding(
        "wrong", f"{_count(number)} of the store are not as this fanlight has them", _fix(target, states)
    )


def _gone(target: str) -> Finding | None:
    """Tables that somebody has dropped; not looked for through an `up`, which makes them when it starts."""
    if target.startswith(UP_SCHEMES):
        return None
    with closing(open_store(target, create=False)) as opened:
        gone = migrate.missing(opened)
    if not gone:
        return None
    what = "table or view is" if len(gone) == 1 else "tables and views are"
    fix = f"run: fanlight schema apply --store {_shown(target)}"
    return Finding("wrong", f"{len(gone)} {what} missing: {', '.join(gone[:SHOWN_AT_MOST])}", fix)


def _differences(target: str) -> list[drift.Difference]:
    """Where tables and views differ; not looked for through an `up`, which makes no database for that."""
    if target.startswith(UP_SCHEMES):
        return []
    with closing(open_store(target, create=False)) as opened:
        try:
            return drift.find(opened)
        except QueryError as error:
            write_text(f"tables and views were not compared: {error.message.splitlines()[0][:200]}\n")
            return []


def _require_no_change(up_url: str, wants_more: object) -> None:
    if wants_more:
        raise unusable(f"stop the up at {up_url} for that, and name its data folder with --store")
    if behind := _behind(_states(up_url)):
        raise unusable(f"{_count(behind)} not as this fanlight has them; {_fix(up_url, _states(up_url))}")
    write_text(f"{up_url}: 0 migrations applied, up to date\n")


def _states(target: str) -> list[migrate.MigrationStatus]:
    if target.startswith(UP_SCHEMES):
        with closing(open_up(target)) as reader:
            columns = read_rows(reader, f"DESCRIBE TABLE {otel_traces.TABLE}").rows
            json = otel_traces.has_json({str(row[0]): str(row[1]) for row in columns})
            return migrate.compare(
                migrate.as_recorded(read_rows(reader, migrate.RECORDED).rows), migrate.migrations(json=json)
            )
    require_folder(target)
    with closing(open_store(target, create=False)) as opened:
        return migrate.status(opened)


def _behind(states: list[migrate.MigrationStatus]) -> int:
    return sum(one.state != "applied" for one in states)


def _fix(target: str, states: list[migrate.MigrationStatus]) -> str:
    if any(one.state == "newer" for one in states):
        return "a newer fanlight made them: install that one, or see `fanlight schema rollback-plan`"
    if any(one.state == "changed" for one in states):
        return migrate.MADE_BY_ANOTHER
    if target.startswith(UP_SCHEMES):
        return f"stop the up at {target} and start this fanlight's: it applies them when it starts"
    return f"run: fanlight schema apply --store {_shown(target)}"


def _shown(target: str) -> str:
    return target if target.startswith(UP_SCHEMES) else parse_url(target).shown


def print_sql(
    roles: Annotated[
        bool, typer.Option("--roles", help="Print the roles of migrator, writer and readers instead.")
    ] = False,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Print the schema for the servers of this cluster."),
    ] = None,
    database: Annotated[
        str, typer.Option(metavar="NAME", help="With --roles or --cluster: the database.")
    ] = DEFAULT_DATABASE,
) -> None:
    """Print the SQL of all migrations, to read it or to run it yourself.

    That of a cluster is run once on each shard (docs/cluster.md); `schema apply` and `status` know it then.

    Examples:
      fanlight schema sql | less
      fanlight schema sql --cluster prod | clickhouse-client -h shard-1 -n
      fanlight schema sql --roles --database otel
    """
    if database != DEFAULT_DATABASE and not (roles or cluster):
        raise unusable("--database goes with --roles or --cluster; the tables of one server name no database")
    if re.fullmatch(r"\w+", database) is None:
        raise unusable(f'--database is "{database}"; give a name of letters, digits and underscores')
    if cluster is not None and re.fullmatch(r"[\w.-]+|\{\w+\}", cluster) is None:
        raise unusable(
            f'--cluster is "{cluster}"; give its name in remote_servers, or a macro such as {{cluster}}'
        )
    write_text(migrate.roles(database) if roles else migrate.render(cluster, database))


def rollback_plan(
    to_version: Annotated[
        int,
        typer.Option("--to", metavar="NUMBER", help="Keep the migrations up to this one (default: none)."),
    ] = 0,
) -> None:
    """Print the statements that take migrations back; nothing is run.

    Spans as they came stay in otel_traces, and the figures can be derived from them again by
    `fanlight schema apply --backfill`, of this or of an older fanlight.

    Example:
      fanlight schema rollback-plan --to 52
    """
    write_text(migrate.rollback_plan(to_version))


def _count(migrations: int) -> str:
    return f"{migrations} {'migration' if migrations == 1 else 'migrations'}"
