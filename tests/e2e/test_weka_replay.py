"""Recorded sessions through the real SDK, the tracer, OTLP, the collector and the store: SQL is exact.

The expected values are computed from the recording's file by weka_truth, which knows nothing of fanlight. Two
routes: into the embedded store, and straight into a ClickHouse server. The recording's models are closed, so
their GPU-seconds lie between what guesses of their size allow and what their list price rents.
"""

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from decimal import Decimal

import genai_prices
import pytest

import weka
import weka_truth
from running import SUPPORT, Up, run_program, running_server, running_up

FOLDER = weka.folder()
pytestmark = pytest.mark.skipif(FOLDER is None, reason=f"no recorded sessions in {weka.data_folder()}")

STYLES = ("threads", "tasks")


@dataclass(frozen=True, slots=True)
class Replayed:
    """A collector that has got all spans of the sessions, and what its store should say."""

    up: Up
    truth: list[weka_truth.ActionTruth]


@pytest.fixture(scope="module", params=["sample", pytest.param("every session", marks=pytest.mark.all_data)])
def sessions(request: pytest.FixtureRequest) -> list[weka.Session]:
    found = weka.sessions(FOLDER)
    return weka.sample(found) if request.param == "sample" else found


@pytest.fixture(scope="module", params=["embedded", "server"])
def replayed(request, sessions, tmp_path_factory) -> Iterator[Replayed]:
    folder = tmp_path_factory.mktemp("replay")
    store = f"chdb://{folder}/data"
    if request.param == "server":
        store = request.getfixturevalue("clickhouse_server").url(f"replay_{len(sessions)}")
    with running_up(store, folder) as up:
        replay(sessions, up)
        chosen = {session.id for session in sessions}
        raw = [session for session in weka.raw_sessions(FOLDER) if session["id"] in chosen]
        truth = weka_truth.actions(raw)
        print(f"in the figures {up.settle():.1f} s after the last span")
        yield Replayed(up, truth)


def replay(sessions: list[weka.Session], up: Up) -> None:
    """Two agent programs at once, each with half of the sessions."""
    halves = [[session.id for session in sessions[start::2]] for start in range(2)]
    with running_server(SUPPORT / "replay_provider.py", str(FOLDER)) as port, ThreadPoolExecutor(2) as pool:
        variables = {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
            "OPENAI_API_KEY": "recorded",
            "OTEL_EXPORTER_OTLP_ENDPOINT": up.url,
        }
        started = time.perf_counter()
        program = SUPPORT / "replay_agents.py"
        runs = [
            pool.submit(run_program, program, style, str(FOLDER), *ids, timeout_s=1200, **variables)
            for style, ids in zip(STYLES, halves, strict=True)
            if ids
        ]
        took = [json.loads(run.result()) for run in runs]
    print(f"{len(sessions)} sessions in {time.perf_counter() - started:.1f} s: {took}")


def test_every_action_has_its_calls_steps_and_tokens(replayed):
    rows = replayed.up.rows(
        """
        SELECT session_id AS session, model_calls AS calls, agent_steps AS sub_agents, tool_calls AS tools,
               input_tokens, cached_tokens, output_tokens
        FROM actions
        ORDER BY ALL
        """
    )
    assert rows == [asdict(action) for action in replayed.truth]


def test_sums_over_all_actions_are_those_of_the_recording(replayed):
    rows = replayed.up.rows(
        """
        SELECT count() AS actions, sum(model_calls) AS calls, sum(agent_steps) AS sub_agents, sum(tool_calls)
        AS tools,
               sum(input_tokens) AS input_tokens, sum(cached_tokens) AS cached_tokens,
               sum(output_tokens) AS output_tokens
        FROM actions
        """
    )
    assert rows == [asdict(weka_truth.total(replayed.truth))]


def test_model_calls_view_has_each_call_once_with_its_tokens(replayed):
    rows = replayed.up.rows(
        """
        SELECT count() AS calls, uniqExact(span_id) AS spans, sum(requests) AS requests, sum(input_tokens) AS
        input,
               sum(cached_tokens) AS cached, sum(output_tokens) AS output
        FROM model_calls
        """
    )
    total = weka_truth.total(replayed.truth)
    assert rows == [
        {
            "calls": total.calls,
            "spans": total.calls,
            "requests": total.calls,
            "input": total.input_tokens,
            "cached": total.cached_tokens,
            "output": total.output_tokens,
        }
    ]


FANOUT = """
    actions, calls, fanout_mean AS mean, fanout_p50 AS p50, fanout_p90 AS p90, fanout_p99 AS p99, fanout_max
    AS max
"""


def test_fanout_of_the_action_is_exact_in_mean_and_percentiles(replayed):
    rows = replayed.up.rows(f"SELECT {FANOUT} FROM fanout_by_action WHERE action_name = '{weka.ACTION_NAME}'")
    assert rows == [asdict(weka_truth.fanout(replayed.truth))]


def test_fanout_of_every_user_is_exact_in_mean_and_percentiles(replayed):
    rows = replayed.up.rows(f"SELECT user_id, {FANOUT} FROM fanout_by_user ORDER BY user_id")
    expected = weka_truth.fanout_by_session(replayed.truth)
    assert rows == [{"user_id": f"u-{name}", **asdict(fanout)} for name, fanout in sorted(expected.items())]


def test_each_recorded_call_is_one_observed_request_without_error(replayed):
    rows = replayed.up.rows(
        """
        SELECT sum(requests) = sum(model_calls) AS one_each, sum(errors) AS errors,
               min(requests_observed_share) AS observed_least, uniqExact(action_source) AS sources,
               any(action_source) AS source, any(origin) AS origin, any(workload) AS workload
        FROM actions
        """
    )
    assert rows == [
        {
            "one_each": 1,
            "errors": 0,
            "observed_least": 1,
            "sources": 1,
            "source": "declared",
            "origin": "user",
            "workload": "serving",
        }
    ]


def test_gpu_seconds_of_closed_models_lie_between_their_size_and_their_price(replayed, sessions):
    """From above genai-prices' own sum over the calls, at $1.49 an hour; from below 2 FLOP a parameter."""
    calls = defaultdict(list)
    for session in sessions:
        for call in session.calls():
            calls[call.model].append(call)
    rows = replayed.up.rows(
        """
        SELECT model, sum(gpu_seconds_low) AS low, sum(gpu_seconds) AS value, sum(gpu_seconds_high) AS high,
               groupUniqArray(gpu_method) AS methods, sum(requests_unpriced) AS unpriced
        FROM gpu_demand_by_model GROUP BY model
        """
    )
    assert {row["model"] for row in rows} == set(calls)
    for row in rows:
        assert (row["methods"], row["unpriced"]) == (["price_implied"], 0)
        assert row["low"] < row["value"] < row["high"]
        paid = [price_of(call) for call in calls[row["model"]]]
        rented = float(sum(price for price, _ in paid)) * 3600 / 1.49
        assert row["high"] >= rented * (1 - 1e-9)
        if not any(in_steps for _, in_steps in paid):
            assert row["high"] == pytest.approx(rented)
        assert row["low"] == pytest.approx(sum(map(least_seconds, calls[row["model"]])))


def price_of(call: weka.Call) -> tuple[Decimal, bool]:
    """What a call costs in dollars by genai-prices, and whether longer prompts have another price."""
    usage = genai_prices.Usage(
        input_tokens=call.input_tokens,
        cache_read_tokens=call.cached_tokens,
        output_tokens=call.output_tokens,
    )
    paid = genai_prices.calc_price(usage, call.model, provider_id="anthropic")
    return paid.total_price, "(+tiers)" in str(paid.model_price)


# Of what EcoLogits guesses the least (data/models.json of 0.11.3 and 0.9.1): active parameters.
ACTIVE = {
    "claude-opus-4-5": 67e9,
    "claude-opus-4-6": 67e9,
    "claude-opus-4-1": 200e9,
    "claude-sonnet-4-5": 44e9,
    "claude-sonnet-4-2": 44e9,
    "claude-haiku-4-5": 10e9,
}


def least_seconds(call: weka.Call) -> float:
    """An H100's fp8 at 65 %, its memory at 85 %, 256 at once, 4.25 bits a weight, 2 KiB a cached token."""
    active = next(size for name, size in ACTIVE.items() if call.model.startswith(name))
    computed = call.input_tokens - call.cached_tokens + call.output_tokens
    memory = 3.35e12 * 0.85
    return (
        2 * active * computed / (1978e12 * 0.65)
        + call.output_tokens * active * 4.25 / 8 / memory / 256
        + call.cached_tokens * 2048 / memory
    )
