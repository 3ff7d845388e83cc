"""What docs/compose.md says of backups, with ClickHouse's own BACKUP and RESTORE on real servers."""

import random
from pathlib import Path

import pytest

import exact_figures
import otlp_json
import random_cascades
from clickhouse_server import free_ports, library, running_in
from fanlight_schema import drift, migrate, refresh
from fanlight_schema.store import open_store
from requirements import require


@pytest.mark.slow
def test_a_restored_database_counts_on_after_a_restart(tmp_path: Path) -> None:
    found = library()
    require(found is not None, "the ClickHouse test server")
    assert found is not None
    before = random_cascades.rows(random.Random(5), cascades=10)
    after = random_cascades.rows(random.Random(9), cascades=3)
    config = f"<clickhouse><backups><allowed_path>{tmp_path}/backups/</allowed_path></backups></clickhouse>"
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    with (
        running_in(found, tmp_path / "old", free_ports(2), config) as server,
        open_store(server.url("otel")) as store,
    ):
        migrate.apply(store)
        store.insert("otel_traces", otlp_json.columns(before))
        refresh.settle(store, timeout_s=60)
        store.query(f"BACKUP DATABASE otel TO File('{tmp_path}/backups/1/')")
    with (
        running_in(found, tmp_path / "new", free_ports(2), config) as server,
        open_store(server.url("default")) as store,
    ):
        store.query(f"RESTORE DATABASE otel FROM File('{tmp_path}/backups/1/')")
    with (
        running_in(found, tmp_path / "new", free_ports(2), config) as server,
        open_store(server.url("otel"), create=False) as store,
    ):
        assert migrate.apply(store) == []
        assert drift.find(store) == []
        exact_figures.assert_exact(store, before)
        store.insert("otel_traces", otlp_json.columns(before[:50] + after))
        refresh.settle(store, timeout_s=60)
        exact_figures.assert_exact(store, before + after)
