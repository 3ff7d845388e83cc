"""The migration runner on both engines; expectations are from the runner's own promises (migrate.py)."""

import re
import threading
from collections.abc import Callable

import pytest

from fanlight_schema import migrate, otel_traces
from fanlight_schema.migrate import Migration, SchemaError
from fanlight_schema.store import Store, StoreError


def table(version: int, name: str, columns: str = "a UInt8") -> Migration:
    return Migration(
        version, name, f"CREATE TABLE IF NOT EXISTS {name} ({columns}) ENGINE = MergeTree ORDER BY a"
    )


def test_apply_makes_every_table_and_a_second_apply_nothing(bare_store: Store) -> None:
    steps: list[tuple[str, int, int]] = []
    applied = migrate.apply(bare_store, lambda *step: steps.append(step))
    wanted = migrate.migrations()
    assert [a.name for a in applied] == [m.name for m in wanted]
    assert steps[-1] == (wanted[-1].name, len(wanted), len(wanted))
    assert migrate.apply(bare_store) == []
    assert {s.state for s in migrate.status(bare_store)} == {"applied"}


def test_status_of_an_empty_database_is_all_pending_and_changes_nothing(bare_store: Store) -> None:
    assert {s.state for s in migrate.status(bare_store)} == {"pending"}
    assert bare_store.query("SELECT name FROM system.tables WHERE database = currentDatabase()").rows == []


def test_otel_traces_has_the_columns_that_the_collector_writes(store: Store) -> None:
    rows = store.query(
        "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'otel_traces' "
        "ORDER BY position"
    ).rows
    assert tuple(name for (name,) in rows) == otel_traces.COLUMNS


def test_a_changed_file_stops_apply_before_anything_is_done(bare_store: Store) -> None:
    migrate.apply(bare_store, files=[table(1, "one")])
    edited = [table(1, "one", "a UInt16"), table(2, "two")]
    with pytest.raises(SchemaError, match=r"0001_one.*go back to that one.*rollback-plan"):
        migrate.apply(bare_store, files=edited)
    assert [s.state for s in migrate.status(bare_store, files=edited)] == ["changed", "pending"]


def test_apply_goes_on_where_a_refused_statement_stopped_it(bare_store: Store) -> None:
    broken = Migration(
        2, "two", "CREATE TABLE IF NOT EXISTS two (a Nosuchtype) ENGINE = MergeTree ORDER BY a"
    )
    with pytest.raises(SchemaError, match=r"0002_two was refused.*Nosuchtype"):
        migrate.apply(bare_store, files=[table(1, "one"), broken, table(3, "three")])
    done = migrate.apply(bare_store, files=[table(1, "one"), table(2, "two"), table(3, "three")])
    assert [a.version for a in done] == [2, 3]


def test_a_statement_that_ran_without_being_recorded_runs_again(bare_store: Store) -> None:
    first = table(1, "one")
    bare_store.command(first.sql)
    assert [a.version for a in migrate.apply(bare_store, files=[first])] == [1]


def test_a_store_of_a_newer_fanlight_says_so(bare_store: Store) -> None:
    migrate.apply(bare_store, files=[table(1, "one"), table(9, "nine")])
    states = {s.name: s.state for s in migrate.status(bare_store, files=[table(1, "one")])}
    assert states == {"one": "applied", "nine": "newer"}
    with pytest.raises(SchemaError, match=r"0009_nine by a newer fanlight; install that one"):
        migrate.apply(bare_store, files=[table(1, "one")])


def test_two_appliers_at_once_both_succeed(open_either: Callable[[], Store]) -> None:
    stores = [open_either(), open_either()]
    start = threading.Barrier(2)
    failures: list[Exception] = []

    def run(store: Store) -> None:
        start.wait()
        try:
            migrate.apply(store)
        except Exception as exc:  # noqa: BLE001 - handed to the assertion
            failures.append(exc)

    threads = [threading.Thread(target=run, args=(each,)) for each in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert {s.state for s in migrate.status(stores[0])} == {"applied"}


def test_every_file_is_one_statement_that_may_run_twice() -> None:
    for migration in migrate.migrations():
        without_comments = re.sub(r"(?m)^\s*--.*$", "", migration.sql)
        body = re.sub(r"'(?:[^'\\]|\\.|'')*'", "''", without_comments).strip()
        assert ";" not in body.rstrip(";"), migration.name
        assert re.search(r"\b(IF NOT EXISTS|OR REPLACE|IF EXISTS)\b", body), migration.name


def test_every_file_says_in_its_header_what_it_is_for() -> None:
    for migration in migrate.migrations():
        assert migration.sql.startswith(f"-- {migration.name}: "), migration.name


def test_every_table_and_column_has_a_comment(store: Store) -> None:
    tables = store.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = '' "
        "AND engine NOT LIKE '%View' AND name NOT LIKE '.%'"
    ).rows
    columns = store.query(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND comment = '' "
        "AND table IN (SELECT name FROM system.tables "
        "WHERE database = currentDatabase() AND engine LIKE '%MergeTree')"
    ).rows
    assert (tables, columns) == ([], [])


def test_render_is_every_statement_as_one_script() -> None:
    text = migrate.render()
    assert text.startswith("CREATE TABLE IF NOT EXISTS schema_migrations")
    for migration in migrate.migrations():
        assert migration.sql.strip().rstrip(";") in text


def test_every_statement_of_the_roles_is_one_that_the_engine_understands(bare_store: Store) -> None:
    """Parsed here; the grants are in force in tests/deploy/test_clickhouse.py."""
    without_comments = re.sub(r"(?m)^--.*$", "", migrate.roles("traces"))
    statements = [part.strip() for part in without_comments.split(";") if part.strip()]
    assert len(statements) > 10
    for statement in statements:
        parsed = bare_store.query("SELECT formatQuery({sql:String})", {"sql": statement}).rows
        assert parsed[0][0].split()[0] == statement.split()[0]
    with pytest.raises(StoreError):
        bare_store.query("SELECT formatQuery('GRANT NOTHING KNOWN TO anybody')")
