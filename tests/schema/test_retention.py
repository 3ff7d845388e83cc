"""How long tables are kept: what is late is told, and no action is counted from less than before."""

import time
from typing import Any

import pytest

import otlp_json
from fanlight_schema import otel_traces, refresh, retention
from fanlight_schema.store import Store, StoreError

DAY_NS = 86_400 * 10**9


def call(number: int, days_ago: float, action: int | None = None, trace: int | None = None) -> dict[str, Any]:
    start_ns = time.time_ns() - int(days_ago * DAY_NS)
    named = {"fanlight.action.id": f"{action:032x}"} if action else {}
    return otlp_json.row(
        trace_id=f"{trace or number:032x}",
        span_id=f"{number:016x}",
        start_ns=start_ns,
        end_ns=start_ns + 10**9,
        attributes={"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": "7"} | named,
    )


def insert(store: Store, *rows: dict[str, Any]) -> None:
    store.insert("otel_traces", otlp_json.columns(rows))
    refresh.settle(store, timeout_s=60)


def rejects(store: Store) -> dict[str, int]:
    return dict(store.query("SELECT reason, sum(count) FROM ingest_rejects GROUP BY reason").rows)


def actions(store: Store) -> dict[int, int]:
    return {int(a, 16): calls for a, calls in store.query("SELECT action_id, model_calls FROM actions").rows}


def test_spans_of_days_no_longer_kept_are_told_and_not_counted(store: Store) -> None:
    retention.keep(store, retention.parse("spans=10d"))
    insert(store, call(1, days_ago=1), call(2, days_ago=9.9), call(3, days_ago=10.1), call(4, days_ago=300))
    assert actions(store) == {1: 1, 2: 1}
    assert rejects(store) == {"late": 2}
    retention.keep(store, retention.parse("spans=forever"))
    insert(store, call(5, days_ago=300))
    assert actions(store) == {1: 1, 2: 1, 5: 1}


def test_figures_of_spans_whose_raw_row_is_not_kept_stay_and_it_is_told(store: Store) -> None:
    retention.keep(store, retention.parse("otel_traces=30d"))
    insert(store, call(1, days_ago=40))
    store.command("OPTIMIZE TABLE otel_traces FINAL")
    assert store.query("SELECT count() FROM otel_traces").rows == [(0,)]
    assert actions(store) == {1: 1}
    assert rejects(store) == {"raw_not_kept": 1}


def test_an_action_that_began_before_what_is_kept_is_not_counted_anew_from_less(store: Store) -> None:
    insert(
        store,
        call(1, days_ago=12, action=99),  # one that is named, over several traces
        call(2, days_ago=12, action=99),
        call(3, days_ago=12, trace=98),  # one that has its trace's id
        call(4, days_ago=3, action=97),
    )
    assert retention.keep(store, retention.parse("spans=10d")) == 3
    store.command("OPTIMIZE TABLE spans FINAL")
    late = [call(5, days_ago=5, action=99), call(6, days_ago=5, trace=98)]
    insert(store, *late, call(7, days_ago=5, action=97))
    assert actions(store) == {99: 2, 98: 1, 97: 2}
    told = store.query("SELECT reason, detail, count FROM ingest_rejects ORDER BY detail").rows
    assert told == [("late_action", f"action {action:032x}", 1) for action in (98, 99)]


def test_tables_that_move_to_a_cold_volume_need_one(store: Store) -> None:
    with pytest.raises(StoreError, match=r"no volume cold.*storage_policy = .*or leave out cold="):
        retention.keep(store, retention.parse("spans=400d,cold=30d"))
    assert store.query("SELECT count() FROM retention").rows == [(0,)]  # so that nothing is told as late


def test_a_ttl_of_ours_is_not_told_as_the_operator_s(store: Store) -> None:
    retention.keep(store, retention.parse("otel_traces=30d"))
    assert otel_traces.notes(store) == []
    store.command("ALTER TABLE otel_traces MODIFY TTL toDateTime(Timestamp) + INTERVAL 12 DAY")
    [note] = otel_traces.notes(store)
    assert "toIntervalDay(12)" in note


@pytest.mark.parametrize(
    "text", ["spans", "spans=0d", "spans=x", "cascades=3d", "spans=3", "spans=3d,cold=x"]
)
def test_what_does_not_say_how_long_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(StoreError, match="spans=400d"):
        retention.parse(text)


@pytest.mark.parametrize("table", ["engine_samples", "gpu_samples"])
def test_samples_of_engines_and_gpus_are_dropped_by_the_week(embedded_store: Store, table: str) -> None:
    for days_ago in (1, 60):
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - days_ago * 86_400))
        embedded_store.insert_bytes(table, f'{{"scraped_at": "{at}", "target": "t"}}'.encode(), "JSONEachRow")
    assert retention.keep(embedded_store, retention.parse(f"{table}=30d")) == 1
    embedded_store.command(f"OPTIMIZE TABLE {table} FINAL")
    assert embedded_store.query(f"SELECT count() FROM {table}").rows == [(1,)]
