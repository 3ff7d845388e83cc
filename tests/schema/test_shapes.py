"""Tree, critical path and shape of every cascade are those that an independent walk finds."""

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import odd_trees
import otlp_json
import random_cascades
import reference_shapes
from fanlight_schema import refresh, shape
from fanlight_schema.store import Store
from reference_shapes import Placed, Shape

few = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
START_NS = 1_795_400_000 * 10**9
STEP_NS = 1_000
TRACE = f"{7:032x}"
SHAPE = """
    action_id, spans, width, critical_spans, toUInt64(round(duration_s * 1e9)),
    toUInt64(round(model_s * 1e9)), toUInt64(round(tool_s * 1e9)), toUInt64(round(waiting_s * 1e9))
"""


def fill(store: Store, rows: list[dict[str, Any]]) -> None:
    for table in ("otel_traces", "spans", "trace_index", "action_traces", "touched", "picked", "cascades"):
        store.command(f"TRUNCATE TABLE {table}")
    for table in ("shapes", "shape_marks"):
        store.command(f"TRUNCATE TABLE {table}")
    store.insert("otel_traces", otlp_json.columns(rows))


def placed(store: Store, actions: list[str]) -> dict[tuple[str, str], Placed]:
    ids = ", ".join(f"toFixedString(unhex('{action}'), 16)" for action in actions)
    found = store.query(
        f"{shape.spans_sql(f'SELECT arrayJoin([{ids}])')}"
        " SELECT lower(hex(trace_id)), leftPad(lower(hex(span_id)), 16, '0'), lower(hex(action)), id,"
        " tree_parent, steps, is_orphan, spent_on, is_critical, self_ns, critical_ns FROM cascade_spans"
    ).rows
    keys = {row[3]: row[:2] for row in found} | {0: ("", "")}
    return {row[:2]: Placed(row[2], keys[row[4]], *row[5:]) for row in found}


def shapes(store: Store) -> dict[str, Shape]:
    hops: dict[str, list[tuple[int, ...]]] = {}
    for action, *numbers in store.query(
        "SELECT lower(hex(action_id)), hops.hop, hops.parents, hops.agents, hops.tools, hops.calls,"
        " hops.requests FROM shapes FINAL ARRAY JOIN hops ORDER BY hops.hop"
    ).rows:
        hops.setdefault(action, []).append(tuple(numbers))
    rows = store.query(f"SELECT {SHAPE} FROM cascade_shapes").rows
    return {row[0]: Shape(*row[1:], by_hop=tuple(hops[row[0]])) for row in rows}


def assert_exact(store: Store, rows: list[dict[str, Any]]) -> None:
    fill(store, rows)
    expected = reference_shapes.placed_spans(rows)
    found = placed(store, sorted({span.action for span in expected.values()}))
    assert found.keys() == expected.keys()
    for key, span in expected.items():
        assert found[key] == span, key


@few
@given(seed=st.integers(0, 2**32))
def test_any_tree_has_the_path_that_a_walk_finds(embedded_store: Store, seed: int) -> None:
    rng = random.Random(seed)
    assert_exact(embedded_store, [row for _ in range(8) for row in odd_trees.rows(rng, rng.randrange(1, 40))])


def test_a_server_finds_the_same_path(server_store: Store) -> None:
    rng = random.Random(3)
    assert_exact(server_store, [row for _ in range(8) for row in odd_trees.rows(rng, 30)])


def test_every_action_gets_its_shape_and_late_spans_a_new_one(embedded_store: Store) -> None:
    rng = random.Random(5)
    rows = random_cascades.rows(rng, cascades=12)
    late = rng.sample(rows, len(rows) // 4)
    fill(embedded_store, [row for row in rows if row not in late])
    refresh.settle(embedded_store, timeout_s=60)
    refresh.settle_shapes(embedded_store, timeout_s=60)
    assert shapes(embedded_store) == reference_shapes.shapes(row for row in rows if row not in late)
    embedded_store.insert("otel_traces", otlp_json.columns(late))
    refresh.settle(embedded_store, timeout_s=60)
    refresh.settle_shapes(embedded_store, timeout_s=60)
    expected = reference_shapes.shapes(rows)
    assert shapes(embedded_store) == expected
    assert_views_add_up(embedded_store, list(expected.values()))


def assert_views_add_up(store: Store, expected: list[Shape]) -> None:
    by_hop: dict[int, list[int]] = {}
    for hop, *numbers in (line for one in expected for line in one.by_hop):
        sums = by_hop.setdefault(hop, [0] * 6)
        by_hop[hop] = [a + b for a, b in zip(sums, [1, *numbers], strict=True)]
    columns = "actions, parents, agents, tools, calls, requests"
    sums = ", ".join(f"sum({name})" for name in columns.split(", "))
    found = store.query(f"SELECT hop, {sums} FROM branching_by_hop GROUP BY hop").rows
    assert {row[0]: list(row[1:]) for row in found} == by_hop
    for row in store.query(f"SELECT children_per_step, {columns} FROM branching_by_hop").rows:
        assert row[0] == ((row[3] + row[4] + row[5]) / row[2] if row[2] else None)

    spent = "sum(model_share * duration_s), sum(tool_share * duration_s), sum(waiting_share * duration_s)"
    [total] = store.query(f"SELECT sum(actions), sum(duration_s), {spent} FROM latency_by_action").rows
    names = ("duration_ns", "model_ns", "tool_ns", "waiting_ns")
    wanted = [sum(getattr(one, name) for one in expected) / 1e9 for name in names]
    assert total == pytest.approx((len(expected), *wanted))
    medians = store.query(
        "SELECT day, action_name, origin, workload, action_source, duration_p50_s FROM latency_by_action"
    ).rows
    durations: dict[Any, list[float]] = {}
    for *group, took in store.query(
        "SELECT toDate(started_at), action_name, origin, workload, action_source, duration_s FROM actions"
    ).rows:
        durations.setdefault(tuple(group), []).append(took)
    assert {row[:5]: row[5] for row in medians} == {
        group: pytest.approx(sorted(took)[(len(took) - 1) // 2]) for group, took in durations.items()
    }

    [(today, then)] = store.query(
        "SELECT sum(duration_s * actions), sum(duration_if_s * actions) FROM inference_speedup WHERE k = 2"
    ).rows
    assert (today, then) == pytest.approx((wanted[0], wanted[0] - wanted[1] / 2))


def test_a_tracers_hops_and_computed_ones_are_the_same(embedded_store: Store) -> None:
    """Of a chain of steps with calls, once with fanlight.hop and once without."""
    depths = {}
    for told in (True, False):
        rows = [row | {"SpanAttributes": _without_hop(row, told)} for row in chain(20)]
        fill(embedded_store, rows)
        depths[told] = {key: span.steps for key, span in placed(embedded_store, [TRACE]).items()}
    assert depths[True] == depths[False]
    assert set(depths[True].values()) == set(range(21))


def _without_hop(row: dict[str, Any], told: bool) -> dict[str, str]:
    return {k: v for k, v in row["SpanAttributes"].items() if told or k != "fanlight.hop"}


def span(number: int, parent: int, role: str, start: int, end: int, **own: str) -> dict[str, Any]:
    return otlp_json.row(
        trace_id=TRACE,
        span_id=f"{number:016x}",
        parent_id=f"{parent:016x}" if parent else "",
        start_ns=START_NS + start * STEP_NS,
        end_ns=START_NS + end * STEP_NS,
        attributes={"fanlight.role": role, **own},
    )


def chain(length: int) -> list[dict[str, Any]]:
    """Agents, each below the one before, and a call in the last."""
    told = [{"fanlight.hop": str(number)} for number in range(length + 1)]
    root = span(1, 0, "action", 0, 2 * length + 2, **{"fanlight.hop": "0"})
    steps = [span(n + 2, n + 1, "agent", n, 2 * length - n, **told[n]) for n in range(length)]
    return [root, *steps, span(length + 2, length + 1, "call", length - 1, length, **told[length])]


def star(size: int) -> list[dict[str, Any]]:
    """Calls side by side, ten at a time."""
    calls = [span(n + 2, 1, "call", n, n + 10) for n in range(size)]
    return [span(1, 0, "action", 0, size + 20), *calls]


@pytest.mark.parametrize("rows", [chain(10_000), star(20_000)], ids=["chain of 10,000", "star of 20,000"])
def test_a_large_cascade_has_the_path_that_a_walk_finds(
    embedded_store: Store, rows: list[dict[str, Any]]
) -> None:
    bare = [row | {"SpanAttributes": _without_hop(row, False)} for row in rows]
    fill(embedded_store, bare)
    found = placed(embedded_store, [TRACE])
    critical = {key[1]: span.critical_ns for key, span in found.items() if span.is_critical}
    assert sum(critical.values()) == rows[0]["Duration"]
    assert len(critical) == (10_002 if len(rows) == 10_002 else 2_001)
    assert max(span.steps for span in found.values()) == (10_000 if len(rows) == 10_002 else 0)


def test_time_of_a_retried_call_is_model_time_and_waiting(embedded_store: Store) -> None:
    rows = [
        span(1, 0, "action", 0, 100),
        span(2, 1, "agent", 10, 90),
        span(3, 2, "call", 20, 70),
        span(4, 3, "request", 20, 30),
        span(5, 3, "request", 50, 70),
        span(6, 2, "tool", 70, 85),
        span(7, 2, "call", 60, 75),  # ends after the tool began: beside the path
    ]
    fill(embedded_store, rows)
    refresh.settle(embedded_store, timeout_s=60)
    refresh.settle_shapes(embedded_store, timeout_s=60)
    found = shapes(embedded_store)[TRACE]
    micro = [n // STEP_NS for n in (found.duration_ns, found.model_ns, found.waiting_ns, found.tool_ns)]
    assert micro == [100, 10 + 20, 20, 15]
    assert (found.width, found.critical_spans) == (2, 6)
