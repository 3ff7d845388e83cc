"""Every view gives what an independent count over the distinct spans gives, however the spans arrived."""

import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import otlp_json
import random_cascades
import reference_counts
from fanlight_schema import refresh
from fanlight_schema.store import Store

bounded = settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

COLUMNS = """
    action_id, model_calls, requests, toUInt64(round(coalesce(requests_observed_share, 0) * requests)),
    tool_calls, agent_steps, depth, errors, input_tokens, cached_tokens, output_tokens, user_id, action_name,
    toUnixTimestamp64Nano(started_at), toUInt64(round(duration_s * 1e9)), spans
"""


def insert(store: Store, rows: list[dict[str, Any]]) -> None:
    store.insert("otel_traces", otlp_json.columns(rows))


def counted(store: Store) -> dict[str, reference_counts.Counted]:
    rows = store.query(f"SELECT {COLUMNS} FROM actions").rows
    return {row[0]: reference_counts.Counted(*row[1:]) for row in rows}


def without_duration(value: reference_counts.Counted) -> dict[str, Any]:
    return {name: part for name, part in vars(value).items() if name != "duration_ns"}


def assert_exact(store: Store, rows: list[dict[str, Any]]) -> None:
    expected, found = reference_counts.count_actions(rows), counted(store)
    assert found.keys() == expected.keys()
    for action_id, value in expected.items():
        assert without_duration(found[action_id]) == without_duration(value), action_id
        assert abs(found[action_id].duration_ns - value.duration_ns) < 1_000, action_id


@bounded
@given(seed=st.integers(0, 2**32))
def test_any_delivery_of_any_cascades_gives_the_same_exact_figures(embedded_store: Store, seed: int) -> None:
    deliver_and_compare(embedded_store, seed)


def test_a_server_gives_the_same_exact_figures(server_store: Store) -> None:
    deliver_and_compare(server_store, 11)


def deliver_and_compare(store: Store, seed: int) -> None:
    for table in ("otel_traces", "spans", "trace_index", "action_traces", "touched", "picked", "cascades"):
        store.command(f"TRUNCATE TABLE {table}")
    rng = random.Random(seed)
    complete = random_cascades.rows(rng, cascades=10)
    for batch in random_cascades.deliveries(rng, complete):
        insert(store, batch)
        if rng.random() < 0.1:
            refresh.settle(store, timeout_s=60)
    refresh.settle(store, timeout_s=60)
    assert_exact(store, complete)
    assert_views_agree(store, complete)


def assert_views_agree(store: Store, rows: list[dict[str, Any]]) -> None:
    actions = reference_counts.count_actions(rows)
    calls = store.query(
        "SELECT action_id, count(), sum(requests), sum(input_tokens) FROM model_calls GROUP BY 1"
    ).rows
    assert {row[0]: row[1:] for row in calls} == {
        key: (value.model_calls, value.requests, value.input_tokens)
        for key, value in actions.items()
        if value.model_calls
    }
    by_user = store.query(
        "SELECT user_id, sum(actions), sum(requests), max(fanout_max) FROM fanout_by_user GROUP BY 1"
    )
    assert {row[0]: row[1:] for row in by_user.rows} == {
        user: (len(of_user), sum(of_user), max(of_user))
        for user, of_user in requests_by_user(actions).items()
    }
    hours = store.query("SELECT sum(actions), sum(calls), sum(requests) FROM fanout_hourly").rows
    demand = store.query("SELECT sum(calls), sum(requests), sum(input_tokens) FROM gpu_demand_hourly").rows
    totals = [sum(getattr(a, name) for a in actions.values()) for name in ("model_calls", "requests")]
    assert hours == [(len(actions), *totals)]
    assert demand == [(*totals, sum(a.input_tokens or 0 for a in actions.values()))]


def requests_by_user(actions: dict[str, reference_counts.Counted]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for action in actions.values():
        found.setdefault(action.user_id, []).append(action.requests)
    return found
