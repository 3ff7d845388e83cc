"""`fanlight schema`: the tables and views in a ClickHouse database."""

from contextlib import closing

from fanlight_collectors.cli.errors import CommandError, unusable
from fanlight_collectors.cli.output import Cells, show_cells, terminal, write_text
from fanlight_collectors.cli.target import UP_SCHEMES, StoreOption, find_target, read_rows, require_folder
from fanlight_collectors.cli.through_up import open_up
from fanlight_schema import migrate
from fanlight_schema.store import open_store
from fanlight_schema.store.urls import parse_url


def apply(store: StoreOption = None) -> None:
    """Bring the tables and views of a store up to date.

    `fanlight up` does this by itself when it starts; you need it for a ClickHouse server that an
    OpenTelemetry Collector fills.

    Example:
      fanlight schema apply --store clickhouse://default:secret@localhost
    """
    target = find_target(store, for_writing=True)
    if target.startswith(UP_SCHEMES):
        _require_no_change(target)
        return
    console = terminal(stderr=True)
    with closing(open_store(target)) as opened, console.status("applying migrations") as shown:
        applied = migrate.apply(opened, lambda name, done, total: shown.update(f"{done}/{total} {name}"))
    for one in applied:
        write_text(f"{one.version:04} {one.name} applied in {one.duration_s:.2f} s\n")
    write_text(f"{opened.url}: {_count(len(applied))} applied, up to date\n")


def status(store: StoreOption = None) -> None:
    """Show which migrations a store has and which it lacks.

    The exit code is 0 if it has all, 1 if some are missing, 2 if there is no store.

    Example:
      fanlight schema status --store clickhouse://localhost
    """
    target = find_target(store)
    states = _states(target)
    rows = [[f"{one.version:04}", one.name, one.state] for one in states]
    show_cells(terminal(), Cells(["number", "name", "state"], [True, False, False], rows))
    if behind := _behind(states):
        raise CommandError(f"{_count(behind)} not as this fanlight has them; {_fix(target)}")


def _require_no_change(up_url: str) -> None:
    if behind := _behind(_states(up_url)):
        raise unusable(f"{_count(behind)} not as this fanlight has them; {_fix(up_url)}")
    write_text(f"{up_url}: 0 migrations applied, up to date\n")


def _states(target: str) -> list[migrate.MigrationStatus]:
    if target.startswith(UP_SCHEMES):
        with closing(open_up(target)) as reader:
            return migrate.compare(
                migrate.as_recorded(read_rows(reader, migrate.RECORDED).rows), migrate.migrations()
            )
    require_folder(target)
    with closing(open_store(target, create=False)) as opened:
        return migrate.status(opened)


def _behind(states: list[migrate.MigrationStatus]) -> int:
    return sum(one.state != "applied" for one in states)


def _fix(target: str) -> str:
    if target.startswith(UP_SCHEMES):
        return f"stop the up at {target} and start this fanlight's: it applies them when it starts"
    return f"run: fanlight schema apply --store {parse_url(target).shown}"


def print_sql() -> None:
    """Print the SQL of all migrations, to read it or to run it yourself.

    Example:
      fanlight schema sql | less
    """
    write_text(migrate.render())


def _count(migrations: int) -> str:
    return f"{migrations} {'migration' if migrations == 1 else 'migrations'}"
