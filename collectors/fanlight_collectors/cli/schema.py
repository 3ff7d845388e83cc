"""`fanlight schema`: the tables and views in a ClickHouse database."""

from contextlib import closing
from pathlib import Path

from fanlight_collectors.cli.errors import CommandError, unusable
from fanlight_collectors.cli.output import Cells, show_cells, terminal, write_text
from fanlight_collectors.cli.target import DATA_FOLDER, UP_SCHEMES, StoreOption, store_url
from fanlight_schema.store import Store, open_store


def apply(store: StoreOption = None) -> None:
    """Bring the tables and views of a store up to date.

    `fanlight up` does this by itself; you need it for a ClickHouse server that an OpenTelemetry Collector
    fills.

    Example:
      fanlight schema apply --store clickhouse://default:secret@localhost
    """
    from fanlight_schema import migrate

    console = terminal(stderr=True)
    with closing(_open(store, create=True)) as opened, console.status("applying migrations") as shown:
        applied = migrate.apply(opened, lambda name, done, total: shown.update(f"{done}/{total} {name}"))
    for one in applied:
        write_text(f"{one.version:04} {one.name} applied in {one.duration_s:.2f} s\n")
    write_text(f"{opened.url}: {_count(len(applied))} applied, up to date\n")


def status(store: StoreOption = None) -> None:
    """Show which migrations a store has and which it lacks; exit code 1 if some are missing.

    Example:
      fanlight schema status --store clickhouse://localhost
    """
    from fanlight_schema import migrate

    with closing(_open(store, create=False)) as opened:
        states = migrate.status(opened)
    rows = [[f"{one.version:04}", one.name, one.state] for one in states]
    show_cells(terminal(), Cells(["number", "name", "state"], [True, False, False], rows))
    behind = [one for one in states if one.state != "applied"]
    if behind:
        raise CommandError(f"{_count(len(behind))} not as this fanlight has them; run: fanlight schema apply")


def print_sql() -> None:
    """Print the SQL of all migrations, to read it or to run it yourself.

    Example:
      fanlight schema sql | less
    """
    from fanlight_schema import migrate

    write_text(migrate.render())


def _count(migrations: int) -> str:
    return f"{migrations} {'migration' if migrations == 1 else 'migrations'}"


def _open(store: str | None, create: bool) -> Store:
    if store is not None and store.startswith(UP_SCHEMES):
        raise unusable("a running up keeps its own schema up to date; name a chdb:// or clickhouse:// store")
    if store is None and not create and not Path(DATA_FOLDER).is_dir():
        raise unusable(f"there is no folder ./{DATA_FOLDER}; name a store with --store")
    return open_store(store_url(store or DATA_FOLDER), create=create)
