"""Every view gives what an independent count over the distinct spans gives, however the spans arrived."""

import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hostile_delivery
import killed_writer
import random_cascades
import reference_counts
from fanlight_schema import refresh
from fanlight_schema.store import Store

few = settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
many = settings(few, max_examples=40, derandomize=False)
HOUR_NS = 3_600 * 10**9
ROOT = Path(__file__).resolve().parents[2]

COLUMNS = """
    action_id, model_calls, requests, toUInt64(round(coalesce(requests_observed_share, 0) * requests)),
    tool_calls, agent_steps, depth, errors, input_tokens, cached_tokens, output_tokens,
    user_id, action_name, action_source, toUnixTimestamp64Nano(started_at),
    toUInt64(round(duration_s * 1e9)), spans
"""


def counted(store: Store) -> dict[str, reference_counts.Counted]:
    return as_counted(store.query(f"SELECT {COLUMNS} FROM actions").rows)


def as_counted(rows: Sequence[Sequence[Any]]) -> dict[str, reference_counts.Counted]:
    return {row[0]: reference_counts.Counted(*row[1:]) for row in rows}


def without_duration(value: reference_counts.Counted) -> dict[str, Any]:
    return {name: part for name, part in vars(value).items() if name != "duration_ns"}


def assert_exact(store: Store, rows: list[dict[str, Any]]) -> None:
    assert_same(counted(store), reference_counts.count_actions(rows))


def assert_same(
    found: dict[str, reference_counts.Counted], expected: dict[str, reference_counts.Counted]
) -> None:
    assert found.keys() == expected.keys()
    for action_id, value in expected.items():
        assert without_duration(found[action_id]) == without_duration(value), action_id
        assert abs(found[action_id].duration_ns - value.duration_ns) < 1_000, action_id


@few
@given(seed=st.integers(0, 2**32))
def test_any_delivery_of_any_cascades_gives_the_same_exact_figures(embedded_store: Store, seed: int) -> None:
    deliver_and_compare(embedded_store, seed)


def test_a_server_gives_the_same_exact_figures(server_store: Store) -> None:
    deliver_and_compare(server_store, 11)


@pytest.mark.slow
@many
@given(seed=st.integers(0, 2**32))
def test_many_deliveries_to_the_embedded_engine_are_exact(embedded_store: Store, seed: int) -> None:
    deliver_and_compare(embedded_store, seed)


@pytest.mark.slow
@many
@given(seed=st.integers(0, 2**32))
def test_many_deliveries_to_a_server_are_exact(server_store: Store, seed: int) -> None:
    deliver_and_compare(server_store, seed)


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 12))])
def test_a_store_killed_between_insert_and_figures_loses_and_doubles_nothing(
    tmp_path: Path, seed: int
) -> None:
    run_killed_writer(tmp_path, seed, "die")
    figures = run_killed_writer(tmp_path, seed, "go-on", f"SELECT {COLUMNS} FROM actions")
    rows = [row for batch in killed_writer.batches(seed) for row in batch]
    assert_same(as_counted([json.loads(line) for line in figures]), reference_counts.count_actions(rows))


def run_killed_writer(folder: Path, seed: int, *arguments: str) -> list[str]:
    roots = [str(ROOT / name) for name in ("schema", "collectors", "tracer", "tests/support")]
    done = subprocess.run(
        [sys.executable, killed_writer.__file__, str(folder / "store"), str(seed), *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(roots)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == (-9 if arguments[0] == "die" else 0), done.stderr
    return done.stdout.splitlines()


def deliver_and_compare(store: Store, seed: int) -> None:
    for table in ("otel_traces", "spans", "trace_index", "action_traces", "touched", "picked", "cascades"):
        store.command(f"TRUNCATE TABLE {table}")
    rng = random.Random(seed)
    complete = random_cascades.rows(rng, cascades=10)
    hostile_delivery.deliver(store, rng, random_cascades.deliveries(rng, complete))
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
    assert fanout(store, "fanout_by_user", "user_id") == expected_fanout(actions, lambda a: a.user_id)
    assert fanout(store, "fanout_by_action", "action_name") == expected_fanout(
        actions, lambda a: a.action_name
    )
    assert fanout(store, "fanout_hourly", "toUnixTimestamp(hour)") == expected_fanout(
        actions, lambda a: a.started_ns // HOUR_NS * 3_600
    )
    hops = store.query("SELECT action_id, hop, count() FROM model_calls GROUP BY 1, 2").rows
    assert {row[:2]: row[2] for row in hops} == reference_counts.calls_by_hop(rows)
    by_user = store.query("SELECT user_id, actions, calls, requests FROM gpu_demand_by_user").rows
    assert {row[0]: row[1:] for row in by_user} == demand_by_user(actions)
    by_hour = store.query(
        "SELECT toUnixTimestamp(hour), sum(calls), sum(requests) FROM gpu_demand_hourly GROUP BY hour"
    ).rows
    assert {row[0]: row[1:] for row in by_hour} == reference_counts.demand_by_hour(rows)
    hours = store.query("SELECT sum(actions), sum(calls), sum(requests) FROM fanout_hourly").rows
    demand = store.query("SELECT sum(calls), sum(requests), sum(input_tokens) FROM gpu_demand_hourly").rows
    totals = [sum(getattr(a, name) for a in actions.values()) for name in ("model_calls", "requests")]
    assert hours == [(len(actions), *totals)]
    assert demand == [(*totals, sum(a.input_tokens or 0 for a in actions.values()))]


def fanout(store: Store, view: str, key: str) -> dict[Any, tuple[int, ...]]:
    """By value of the key and action source: actions, calls, requests, p50, p90, p99 and max."""
    figures = "actions, calls, requests, fanout_p50, fanout_p90, fanout_p99, fanout_max"
    rows = store.query(f"SELECT {key}, action_source, {figures} FROM {view}").rows
    found = {tuple(row[:2]): tuple(row[2:]) for row in rows}
    assert len(found) == len(rows)
    return found


def expected_fanout(
    actions: dict[str, reference_counts.Counted], key: Callable[[reference_counts.Counted], Any]
) -> dict[Any, tuple[int, ...]]:
    groups: dict[Any, list[reference_counts.Counted]] = {}
    for action in actions.values():
        groups.setdefault((key(action), action.action_source), []).append(action)
    return {value: _figures(group) for value, group in groups.items()}


def _figures(group: list[reference_counts.Counted]) -> tuple[int, ...]:
    requests = sorted(action.requests for action in group)
    ranks = [math.ceil(share * len(requests)) - 1 for share in (0.5, 0.9, 0.99, 1)]
    calls = sum(action.model_calls for action in group)
    return (len(group), calls, sum(requests), *(requests[rank] for rank in ranks))


def demand_by_user(actions: dict[str, reference_counts.Counted]) -> dict[str, tuple[int, ...]]:
    """By user: actions with a call, calls and requests."""
    found: dict[str, tuple[int, ...]] = {}
    for action in actions.values():
        if action.model_calls:
            before = found.get(action.user_id, (0, 0, 0))
            found[action.user_id] = (
                before[0] + 1,
                before[1] + action.model_calls,
                before[2] + action.requests,
            )
    return found
