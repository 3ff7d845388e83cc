"""The schema in cluster form: every figure is the same on each of two shards, and that of one box."""

import json
import random
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import exact_figures
import hostile_delivery
import otlp_json
import random_cascades
import reference_shapes
import reference_views
import two_shards
from clickhouse_server import Server, library
from fanlight_cli import run_cli
from fanlight_schema import backfill, cluster, drift, landing, migrate, otel_traces, retention, shape
from fanlight_schema.store import Store, StoreError
from requirements import require

many = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FILES = migrate.migrations(of_cluster="prod")
START_NS = 1_795_400_000 * 10**9
ON_BOTH = """
SELECT count()
FROM (SELECT action_id FROM action_traces GROUP BY action_id HAVING uniqExact(cityHash64(trace_id) % 2) = 2)
WHERE action_id IN (SELECT action_id FROM cascades FINAL WHERE started_at >= '1970-02-01')
"""
ELSEWHERE = """
SELECT count()
FROM (SELECT DISTINCT action_id, trace_id FROM action_traces)
WHERE cityHash64(action_id) % 2 != cityHash64(trace_id) % 2
"""
REFUSED = f"""
SELECT exception LIKE '%forwarded_local%'
FROM system.view_refreshes
WHERE database = currentDatabase() AND view = '{two_shards.FORWARD}'
"""
SHAPES = """
SELECT action_id, spans, width, critical_spans, toUInt64(round(duration_s * 1e9))
FROM cascade_shapes
"""


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Server]]:
    found = library()
    require(found is not None, "the ClickHouse test server")
    assert found is not None
    with two_shards.running(found) as running:
        yield running


@pytest.fixture(scope="module")
def shards(servers: list[Server]) -> Iterator[list[Store]]:
    """One store on each shard of a cluster with the schema applied."""
    with two_shards.opened(servers, "fanlight") as stores:
        yield stores


def empty(shards: list[Store]) -> None:
    for shard in shards:
        for name, engine in shard.query(
            "SELECT name, engine FROM system.tables WHERE database = currentDatabase()"
        ).rows:
            kept = (*cluster.EVERYWHERE, "schema_migrations")
            if engine.endswith("MergeTree") and name not in kept:
                shard.command(f"TRUNCATE TABLE {name}")


def deliver_and_compare(shards: list[Store], seed: int) -> list[dict[str, object]]:
    empty(shards)
    rng = random.Random(seed)
    complete = random_cascades.rows(rng, cascades=10)
    hostile_delivery.deliver_to(shards, rng, random_cascades.deliveries(rng, complete))
    two_shards.settle(shards)
    for shard in shards:
        exact_figures.assert_exact(shard, complete)
    return complete


def test_both_shards_give_the_exact_figures_of_any_delivery(shards: list[Store]) -> None:
    complete = deliver_and_compare(shards, 11)
    assert shards[0].query(ON_BOTH).rows[0][0] > 0
    assert shards[0].query(ELSEWHERE).rows[0][0] > 0
    stored = [shard.query("SELECT count() FROM cascades_local").rows[0][0] for shard in shards]
    assert min(stored) > 0
    for shard in shards:
        while shape.compute(shard):
            pass
    expected = {
        (action, one.spans, one.width, one.critical_spans, one.duration_ns)
        for action, one in reference_shapes.shapes(complete).items()
    }
    for shard in shards:
        assert set(shard.query(SHAPES).rows) == expected


@pytest.mark.slow
@many
@given(seed=st.integers(0, 2**32))
def test_many_deliveries_to_a_cluster_are_exact(shards: list[Store], seed: int) -> None:
    deliver_and_compare(shards, seed)


def test_what_an_action_s_shard_could_not_be_told_is_told_when_it_is_back(shards: list[Store]) -> None:
    empty(shards)
    rng = random.Random(5)
    complete = random_cascades.rows(rng, cascades=6)
    for shard in shards:
        shard.command("DETACH TABLE forwarded_local")
    try:
        shards[0].insert("otel_traces", otlp_json.columns(complete))
        for shard in shards:
            _wait_until_refused(shard)
            assert shard.query(two_shards.STANDING_ARRIVALS).rows[0][0] > 0
        assert shards[0].query("SELECT count() FROM actions").rows == [(0,)]
    finally:
        for shard in shards:
            shard.command("ATTACH TABLE forwarded_local")
    two_shards.settle(shards)
    exact_figures.assert_exact(shards[1], complete)


def _wait_until_refused(shard: Store) -> None:
    deadline = time.monotonic() + 60
    while not shard.query(REFUSED).rows[0][0]:
        assert time.monotonic() < deadline, "the sending was not refused"
        time.sleep(0.1)


def test_a_span_that_names_an_action_of_the_other_shard_later_moves_there(shards: list[Store]) -> None:
    """Each span by itself, counted before the next comes: the action is learned when all else was counted."""
    empty(shards)
    trace, action = _ids_on_different_shards(shards[0])

    def call(number: int, parent: int, **own: str) -> dict[str, object]:
        return otlp_json.row(
            trace_id=trace,
            span_id=f"{number:016x}",
            parent_id=f"{parent:016x}" if parent else "",
            start_ns=START_NS + number * 10**9,
            end_ns=START_NS + (number + 1) * 10**9,
            attributes={"fanlight.role": "call", "fanlight.wire": "true", "fanlight.requests": "1", **own},
        )

    came = [call(2, 1), call(3, 1)]
    agent = call(1, 0) | {"SpanAttributes": {"fanlight.role": "agent", "fanlight.action.id": action}}
    for rows, counted in [
        ([came[0]], {(trace, 1)}),
        ([agent], {(action, 1)}),
        ([came[1]], {(action, 2)}),  # names no action, and the shard of its trace has counted all there was
    ]:
        shards[1].insert("otel_traces", otlp_json.columns(rows))
        two_shards.settle(shards)
        for shard in shards:
            assert set(shard.query("SELECT action_id, model_calls FROM actions").rows) == counted


def test_otlp_that_the_engine_parses_reaches_the_shards_of_its_traces(shards: list[Store]) -> None:
    empty(shards)
    complete = random_cascades.rows(random.Random(5), cascades=6)
    landing.insert(shards[1], [hostile_delivery.as_otlp(complete).SerializeToString()])
    two_shards.settle(shards)
    assert min(shard.query("SELECT count() FROM spans_local").rows[0][0] for shard in shards) > 0
    exact_figures.assert_exact(shards[0], complete)


def _ids_on_different_shards(shard: Store) -> tuple[str, str]:
    rows = shard.query(
        "SELECT lower(hex(reverse(reinterpretAsFixedString(toUInt128(number + 1))))) AS id,"
        " cityHash64(unhex(id)) % 2 FROM numbers(100)"
    ).rows
    return next(i for i, owner in rows if owner == 0), next(i for i, owner in rows if owner == 1)


def test_a_shard_knows_that_its_schema_is_as_it_should_be(shards: list[Store]) -> None:
    for shard in shards:
        assert otel_traces.cluster_of(shard) == two_shards.CLUSTER
        assert {one.name for one in migrate.migrations_for(shard)} == {one.name for one in FILES}
        assert drift.find(shard) == []
        tables = shard.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''"
            " AND engine NOT LIKE '%View' AND name NOT LIKE '.%'"
        ).rows
        assert tables == []


def test_days_are_kept_on_the_shard_s_own_tables(shards: list[Store]) -> None:
    retention.keep(shards[0], retention.parse("ingest_rejects=30d"))
    made = shards[0].query("SHOW CREATE TABLE ingest_rejects_local").rows[0][0]
    assert "TTL toDateTime(time) + toIntervalDay(31)" in made
    retention.keep(shards[0], retention.parse("ingest_rejects=forever"))


def test_a_cluster_is_not_filled_up(shards: list[Store]) -> None:
    with pytest.raises(StoreError, match="part of a cluster"):
        next(iter(backfill.run(shards[0])))


def test_every_table_of_the_schema_has_a_place() -> None:
    tables = {one.created[1] for one in migrate.migrations() if one.created and one.created[0] == "TABLE"}
    own = {"otlp_landing", "touched", "picked", "build_started", "shape_marks", "backfills"}
    assert tables | {"forwarded"} == cluster.SHARDED.keys() | set(cluster.EVERYWHERE) | own


def test_every_statement_of_the_cluster_s_script_is_one_that_the_engine_understands(
    shards: list[Store],
) -> None:
    """Parsed: what is run by these tests has no Keeper, so it is without Replicated engines."""
    text = migrate.render("prod", "traces")
    assert "ENGINE = MergeTree" not in text
    assert text.count("ENGINE = Distributed('prod', currentDatabase(), ") == len(cluster.SHARDED)
    *statements, done = text.strip().removesuffix(";").split(";\n\n")
    assert len(statements) == len(FILES) + 4  # database, USE, SET, ledger
    for statement in statements:
        shards[0].query("SELECT formatQuery({sql:String})", {"sql": statement})
    recorded = re.findall(r"\((\d+), '\w+', '(\w{64})'\)", done)
    assert recorded == [(str(one.version), one.checksum) for one in FILES]


def as_pasted(shards: list[Store]) -> None:
    """The ledger as `schema sql --cluster` writes it; here the engines are the plain ones, without Keeper."""
    files = migrate.migrations(of_cluster=two_shards.CLUSTER)
    pasted = {name: [getattr(one, name) for one in files] for name in ("version", "name", "checksum")}
    for shard in shards:
        shard.command("TRUNCATE TABLE schema_migrations")
        shard.insert("schema_migrations", pasted)


def test_every_command_that_reads_a_store_reads_a_cluster_from_any_shard(
    shards: list[Store], servers: list[Server], tmp_path: Path
) -> None:
    complete = deliver_and_compare(shards, 11)
    as_pasted(shards)
    expected = reference_views.views(complete, reference_views.Prices({}))["actions"]
    largest = max(expected, key=lambda action: (action["requests"], action["action_id"]))

    def ask(*command: str) -> "subprocess.CompletedProcess[str]":
        return run_cli(*command, "--store", servers[1].url("fanlight"), folder=tmp_path)

    by_user: Counter[str] = Counter()
    for action in expected:
        by_user[action["user_id"]] += action["requests"]
    shown = ask("stats", "--by", "user", "--origin", "all", "--workload", "all", "-f", "json")
    assert {row["user_id"]: row["requests"] for row in json.loads(shown.stdout)} == by_user
    tree = ask("trace", largest["action_id"])
    assert f"{largest['requests']} requests in {largest['model_calls']} calls" in tree.stdout
    found = json.loads(ask("doctor", "-f", "json").stdout)
    assert any("requests have no GPU-seconds" in one["what"] for one in found)
    status = ask("schema", "status")
    assert (status.returncode, status.stderr) == (0, "")
    filling = ask("schema", "apply", "--backfill")
    assert filling.stdout == f"{servers[1].url('fanlight')}: 0 migrations applied, up to date\n"
    assert "is part of a cluster, whose tables count every span as it comes" in filling.stderr
