"""Where a store is not as the migrations make it is found, with what to do, on both engines."""

import pytest

import exporter_tables
from fanlight_schema import drift, migrate
from fanlight_schema.store import QueryError, Store


def found(store: Store) -> dict[str, str]:
    return {one.name: one.what for one in drift.find(store)}


def test_what_was_changed_by_hand_is_found_and_its_fix_mends_it(store: Store) -> None:
    databases = store.query("SELECT count() FROM system.databases").rows
    assert drift.find(store) == []
    store.command("DROP VIEW touched_mv")
    store.command("CREATE OR REPLACE VIEW fanout_hourly AS SELECT 1 AS hour")
    store.command("ALTER TABLE spans DROP COLUMN tool_name")
    store.command("ALTER TABLE spans ADD COLUMN mine String")
    store.command("ALTER TABLE spans MODIFY COLUMN provider String")
    store.command("ALTER TABLE touched ADD COLUMN late UInt8, MODIFY ORDER BY (trace_id, mark, late)")
    assert found(store) == {
        "touched_mv": "missing",
        "fanout_hourly": "another definition",
        "spans.tool_name": "missing",
        "spans.mine": "extra",
        "spans.provider": "is String, not LowCardinality(String)",
        "touched": "sorting_key is trace_id, mark, late, not trace_id, mark",
        "touched.late": "extra",
    }
    fixes = {one.name: one.fix for one in drift.find(store)}
    for name in ("spans.tool_name", "spans.provider"):
        store.command(fixes[name])
    store.command(fixes["spans.mine"].partition("; ")[2])
    store.command(fixes["fanout_hourly"].partition("; ")[0])
    assert sorted(one.name for one in migrate.apply(store)) == ["fanout_hourly", "touched_mv"]
    assert set(found(store)) == {"touched", "touched.late"}
    assert store.query("SELECT count() FROM system.databases").rows == databases


@pytest.mark.parametrize("form", ["json", "map of 0.130"])
def test_tables_that_an_exporter_made_are_no_drift(bare_store: Store, form: exporter_tables.Form) -> None:
    exporter_tables.create(bare_store, form)
    migrate.apply(bare_store)
    assert drift.find(bare_store) == []


def test_a_rollback_plan_takes_back_all_but_spans_as_they_came(store: Store) -> None:
    tables = "SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name"
    for statement in migrate.rollback_plan().splitlines():
        store.command(statement)
    left = ["otel_traces", "otel_traces_trace_id_ts", "otel_traces_trace_id_ts_mv", "schema_migrations"]
    assert [name for (name,) in store.query(tables).rows] == left
    assert migrate.apply(store)
    assert drift.find(store) == []


def test_a_rollback_plan_to_a_version_takes_back_what_came_after_it(store: Store) -> None:
    for statement in migrate.rollback_plan(to_version=50).splitlines():
        store.command(statement)
    behind = [one.version for one in migrate.status(store) if one.state == "pending"]
    assert behind == [one.version for one in migrate.migrations() if one.version > 50]
    with pytest.raises(QueryError, match="gpu_demand_hourly"):
        store.query("SELECT * FROM gpu_demand_hourly")
