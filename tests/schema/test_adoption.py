"""A store that a collector has filled is adopted: its figures are those of an independent count."""

import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import exporter_tables
import hostile_delivery
import otlp_json
import random_cascades
from exact_figures import assert_exact
from fanlight_schema import backfill, migrate, otel_traces, refresh
from fanlight_schema.store import Store

Row = dict[str, Any]
START_NS = random_cascades.START_NS


def deliver(store: Store, rng: random.Random, batches: list[list[Row]]) -> None:
    hostile_delivery.deliver(store, rng, batches)


def halves(rng: random.Random, complete: list[Row]) -> tuple[list[list[Row]], list[list[Row]]]:
    """Deliveries before fanlight came and after; spans, and states of one span, are in either or in both."""
    batches = list(random_cascades.deliveries(rng, complete))
    middle = len(batches) // 2
    return batches[:middle] + rng.sample(batches, 2), batches[middle:]


@pytest.mark.parametrize("form", exporter_tables.FORMS[:2])
def test_what_was_there_and_what_comes_while_it_is_taken_over_is_counted_once(
    bare_store: Store, form: exporter_tables.Form
) -> None:
    adopt_and_compare(bare_store, form, seed=5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20, 40))
@pytest.mark.parametrize("form", exporter_tables.FORMS)
def test_many_stores_are_adopted_exactly(bare_store: Store, form: exporter_tables.Form, seed: int) -> None:
    adopt_and_compare(bare_store, form, seed)


def adopt_and_compare(store: Store, form: exporter_tables.Form, seed: int) -> None:
    rng = random.Random(seed)
    complete = random_cascades.rows(rng, cascades=10)
    before, after = halves(rng, complete)
    exporter_tables.create(store, form)
    deliver(store, rng, before)
    made = store.query("SELECT create_table_query FROM system.tables WHERE name = 'otel_traces'").rows
    migrate.apply(store)
    writer = threading.Thread(target=deliver, args=(store, rng, after))
    writer.start()
    steps = list(backfill.run(store, spans_a_part=150))
    writer.join()
    refresh.settle(store, timeout_s=60)
    assert len(steps) > 2
    assert_exact(store, complete)
    assert store.query("SELECT create_table_query FROM system.tables WHERE name = 'otel_traces'").rows == made
    assert_trace_times(store)


def assert_trace_times(store: Store) -> None:
    """otel_traces_trace_id_ts covers what otel_traces holds, as Grafana's data source needs it."""
    spans = (
        "SELECT TraceId, toDateTime(min(Timestamp)), toDateTime(max(Timestamp)) FROM otel_traces GROUP BY 1"
    )
    times = "SELECT TraceId, min(Start), max(End) FROM otel_traces_trace_id_ts GROUP BY 1"
    assert sorted(store.query(times).rows) == sorted(store.query(spans).rows)


def call(number: int, **changes: Any) -> Row:
    row = otlp_json.row(
        trace_id=f"{number:032x}",
        span_id=f"{number:016x}",
        start_ns=START_NS + number * 60 * 10**9,
        end_ns=START_NS + number * 60 * 10**9 + 10**9,
        attributes={"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": "7"},
    )
    return row | changes


@pytest.fixture
def adopted(bare_store: Store) -> Store:
    """Ten calls, one a minute, and three rows that are none, from before fanlight."""
    exporter_tables.create(bare_store, "map")
    bad = [call(11, TraceId="odd"), call(12, SpanId="odd"), call(13, Timestamp=1)]
    bare_store.insert("otel_traces", otlp_json.columns([call(n) for n in range(1, 11)] + bad))
    migrate.apply(bare_store)
    return bare_store


def rejects(store: Store) -> dict[str, int]:
    return dict(store.query("SELECT reason, sum(count) FROM ingest_rejects GROUP BY reason").rows)


def calls(store: Store) -> list[tuple[Any, ...]]:
    refresh.settle(store, timeout_s=60)
    return store.query("SELECT sum(model_calls), sum(input_tokens) FROM actions").rows


def stopped_after(steps: Iterator[backfill.Progress], parts: int) -> None:
    for _ in range(parts):
        next(steps)


def test_a_backfill_that_was_stopped_goes_on_where_it_was(adopted: Store) -> None:
    stopped_after(backfill.run(adopted, spans_a_part=2), parts=3)
    rest = list(backfill.run(adopted, spans_a_part=2))
    assert [step.spans_done for step in rest] == [2, 4, 6, 6]
    assert calls(adopted) == [(10, 70)]
    assert rejects(adopted) == {"bad_trace_id": 1, "bad_span_id": 1, "bad_time": 1}


def test_a_part_that_was_written_and_not_noted_is_written_again_and_counted_once(
    adopted: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(backfill, "_note", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            list(backfill.run(adopted))
    list(backfill.run(adopted))
    assert calls(adopted) == [(10, 70)]
    assert rejects(adopted) == {"bad_trace_id": 1, "bad_span_id": 1, "bad_time": 1}


def test_a_second_backfill_begins_anew_and_changes_no_figure(adopted: Store) -> None:
    for _ in range(2):
        assert [step.spans for step in backfill.run(adopted)][-1] == 12
    assert calls(adopted) == [(10, 70)]


def test_a_view_that_was_dropped_is_made_again_and_a_backfill_fills_its_gap(adopted: Store) -> None:
    list(backfill.run(adopted))
    adopted.command("DROP VIEW spans_mv")
    adopted.insert("otel_traces", otlp_json.columns([call(20)]))
    assert [one.name for one in migrate.apply(adopted)] == ["spans_mv"]
    list(backfill.run(adopted))
    assert calls(adopted) == [(11, 77)]


def test_a_table_that_lacks_what_is_derived_from_is_refused_with_every_fault(bare_store: Store) -> None:
    bare_store.command("CREATE TABLE otel_traces (Timestamp DateTime, TraceId String) ENGINE = Memory")
    with pytest.raises(otel_traces.UnusableTable, match=r"Timestamp is DateTime; column SpanId is missing"):
        migrate.apply(bare_store)
    tables = bare_store.query("SELECT count() FROM system.tables WHERE database = currentDatabase()")
    assert tables.rows == [(1,)]


def test_what_is_different_in_an_adopted_table_is_told(bare_store: Store) -> None:
    assert otel_traces.notes(bare_store) == []
    exporter_tables.create(bare_store, "json", ttl="TTL toDateTime(Timestamp) + toIntervalDay(3)")
    notes = otel_traces.notes(bare_store)
    assert [note.split(" ")[0] for note in notes] == ["attributes", "a", "rows"]
    assert "toDateTime(Timestamp) + toIntervalDay(3)" in notes[2]


def test_a_table_of_ours_has_nothing_to_tell(store: Store) -> None:
    assert otel_traces.notes(store) == []
