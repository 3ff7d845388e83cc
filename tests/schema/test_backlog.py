"""A backlog is counted in builds of bounded size, and an action of any size is one of them."""

from fanlight_schema import refresh
from fanlight_schema.store import Store

SPANS_A_BUILD = 60_000  # as in 0038_picked_rmv.sql
SPANS = """
    INSERT INTO otel_traces (Timestamp, TraceId, SpanId, SpanName, SpanAttributes, Duration)
    SELECT
        now64(9) - INTERVAL 1 MINUTE + INTERVAL number MICROSECOND, leftPad(hex({trace}), 32, '0'),
        leftPad(hex(number + 1), 16, '0'), 'chat', map('gen_ai.operation.name', 'chat'), 1000
    FROM numbers({count})
"""


def test_backlog_is_counted_in_builds_of_bounded_size(embedded_store: Store) -> None:
    embedded_store.command("SYSTEM STOP VIEW build_rmv")
    traces, each = 200, 600
    embedded_store.command(SPANS.format(trace=f"1 + number % {traces}", count=traces * each))
    embedded_store.command("SYSTEM REFRESH VIEW picked_rmv")
    embedded_store.command("SYSTEM WAIT VIEW picked_rmv")
    assert embedded_store.query("SELECT count() FROM picked").rows == [(SPANS_A_BUILD // each,)]
    embedded_store.command("SYSTEM START VIEW build_rmv")
    refresh.settle(embedded_store, timeout_s=120)
    counted = "SELECT count(), min(model_calls), max(model_calls) FROM actions"
    assert embedded_store.query(counted).rows == [(traces, each, each)]


def test_action_larger_than_a_build_is_counted_whole(embedded_store: Store) -> None:
    embedded_store.command(SPANS.format(trace="1", count=SPANS_A_BUILD + 1))
    refresh.settle(embedded_store, timeout_s=120)
    assert embedded_store.query("SELECT model_calls FROM actions").rows == [(SPANS_A_BUILD + 1,)]
