"""Wrap an OpenAI client, run an agent: one SQL query gives the real fan-out and the GPU-seconds per user.

What is true is known from elsewhere: the provider counts the requests that it physically gets, the agent's
shape gives its calls, and GPU-seconds are added up here in Python from the rate card's coefficients.
"""

import itertools
import json
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

import otlp_spans
import small_agent
from running import SUPPORT, Row, Up, run_program, running_server, running_up

OPEN_MODEL = "llama-3.1-8b-instruct"
SENDERS = 4
USERS = [f"u-{number}" for number in range(1, small_agent.USERS + 1)]


@dataclass(frozen=True, slots=True)
class Ran:
    """A collector with all that the agent did, and the provider's own count of requests by user."""

    up: Up
    tally: dict[str, dict[str, int]]


@pytest.fixture(params=["embedded", "server"], scope="module")
def store_of(request, tmp_path_factory) -> Callable[[str], str]:
    """Gives the URL of a fresh store for a name."""
    if request.param == "server":
        server = request.getfixturevalue("clickhouse_server")
        return lambda name: server.url(f"main_job_{name}")
    folder = tmp_path_factory.mktemp("stores")
    return lambda name: f"chdb://{folder}/{name}"


@pytest.fixture(scope="module")
def ran(store_of, tmp_path_factory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("up")
    with (
        running_server(SUPPORT / "tallying_provider.py") as port,
        running_up(store_of("agent"), folder) as up,
    ):
        run_program(
            SUPPORT / "small_agent.py",
            OPEN_MODEL,
            OPENAI_BASE_URL=f"http://127.0.0.1:{port}/v1",
            OPENAI_API_KEY="none",
            OTEL_EXPORTER_OTLP_ENDPOINT=up.url,
        )
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/tally") as answer:
            tally = json.load(answer)
        up.settle()
        yield Ran(up, tally)


def turns(number: int) -> range:
    """User N asks N times; the K-th time with K workers of two calls each, and a plan refused K-1 times."""
    return range(1, number + 1)


def expected_fanout() -> list[Row]:
    rows = []
    for number, user in enumerate(USERS, 1):
        calls = [1 + 2 * turn for turn in turns(number)]
        requests = [2 * turn + turn for turn in turns(number)]
        rows.append(
            {
                "user_id": user,
                "actions": number,
                "calls": sum(calls),
                "requests": sum(requests),
                "fanout_mean": sum(requests) / number,
                "fanout_max": max(requests),
                "amplification": sum(requests) / sum(calls),
            }
        )
    return rows


def test_fanout_per_user_counts_every_physical_request(ran):
    columns = "user_id, actions, calls, requests, fanout_mean, fanout_max, amplification"
    found = ran.up.rows(f"SELECT {columns} FROM fanout_by_user ORDER BY user_id")
    assert found == expected_fanout()
    assert {row["user_id"]: row["requests"] for row in found} == {
        user: count["requests"] for user, count in ran.tally.items()
    }


def test_steps_retries_and_tokens_of_every_action_are_stored(ran):
    turn_rows = [
        {
            "user_id": user,
            "model_calls": 1 + 2 * turn,
            "requests": 3 * turn,
            "agent_steps": 1 + turn,
            "tool_calls": turn,
            "errors": 0,
            **{f"{kind}_tokens": tokens(kind, turn) for kind in ("input", "cached", "output")},
        }
        for number, user in enumerate(USERS, 1)
        for turn in turns(number)
    ]
    columns = ", ".join(turn_rows[0])
    sql = f"SELECT {columns} FROM actions WHERE action_name = 'research' ORDER BY user_id, model_calls"
    assert ran.up.rows(sql) == turn_rows


def tokens(kind: str, turn: int) -> int:
    """Tokens of one action: the planner's call and two of each worker; refused requests have none."""
    return small_agent.PLANNER[kind] + 2 * turn * small_agent.WORKER[kind]


def test_gpu_seconds_per_user_are_rates_times_work(ran):
    [rates] = ran.up.rows(f"SELECT * FROM gpu_rates FINAL WHERE model = '{OPEN_MODEL}'")
    rows = ran.up.rows(
        """
        SELECT user_id, sum(gpu_seconds) AS gpu_seconds, sum(gpu_seconds_low) AS low, sum(gpu_seconds_high) AS
        high,
               any(gpu_method) AS method
        FROM gpu_demand_by_user GROUP BY user_id ORDER BY user_id
        """
    )
    assert [row["user_id"] for row in rows] == USERS
    for number, row in enumerate(rows, 1):
        assert row["method"] == rates["gpu_method"] == "modelled"
        assert row["gpu_seconds"] == pytest.approx(gpu_seconds(rates, number, ""))
        assert row["low"] == pytest.approx(gpu_seconds(rates, number, "_low"))
        assert row["high"] == pytest.approx(gpu_seconds(rates, number, "_high"))
        assert 0 < row["low"] < row["gpu_seconds"] < row["high"]


def gpu_seconds(rates: Row, number: int, bound: str) -> float:
    """Work of all answered requests of a user times the rates, in seconds of the reference GPU."""
    total = 0.0
    for turn in turns(number):
        for count, order in ((1, small_agent.PLANNER), (2 * turn, small_agent.WORKER)):
            total += count * priced(rates, bound, order)
    return total * float(rates["reference_factor"])


def priced(rates: Row, bound: str, order: dict[str, int]) -> float:
    """One request's GPU-seconds, from its work features as DESIGN section 6 has them."""
    cached, output = order["cached"], order["output"]
    uncached = order["input"] - cached
    work = {
        "n": 1.0,
        "u": uncached,
        "c": cached,
        "o": output,
        "a": uncached * (cached + uncached / 2),
        "k": output * (cached + uncached + output / 2),
    }
    in_turn = dict(zip("nucoak", rates[f"rates{bound}"], strict=True))
    return sum(float(in_turn[feature]) * amount for feature, amount in work.items())


def test_one_query_gives_fanout_and_gpu_seconds_of_each_user(ran):
    rows = ran.up.rows(
        """
        SELECT user_id, sum(requests) / count() AS fanout, sum(gpu_seconds) AS gpu_seconds
        FROM actions GROUP BY user_id ORDER BY user_id
        """
    )
    assert [row["user_id"] for row in rows] == USERS
    assert all(row["fanout"] >= 3 and row["gpu_seconds"] > 0 for row in rows)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_collector_that_ends_loses_nothing_that_it_has_acknowledged(store_of, tmp_path, how):
    store, acknowledged = store_of(how.name.lower()), []
    with running_up(store, tmp_path) as up, ThreadPoolExecutor(SENDERS) as senders:
        for number in range(SENDERS):
            senders.submit(send_until_refused, up.url, f"sender-{number}", acknowledged)
        wait_for(lambda: len(acknowledged) >= 5 * SENDERS)
        up.stop(how)
    with running_up(store, tmp_path) as up:
        found = stored_calls(up, acknowledged)
    assert found == dict.fromkeys(acknowledged, 3)


def send_until_refused(url: str, sender: str, acknowledged: list[str]) -> None:
    """One action after another, each of a user of its own, until nobody takes them."""
    for number in itertools.count():
        user = f"{sender}-{number}"
        try:
            if otlp_spans.send(url, otlp_spans.action_with_calls(user, 3)) != 200:
                return
        except OSError:
            return
        acknowledged.append(user)


def stored_calls(up: Up, users: list[str]) -> dict[str, int]:
    up.settle()
    names = ", ".join(f"'{user}'" for user in users)
    rows = up.rows(f"SELECT user_id, model_calls FROM actions WHERE user_id IN ({names})")
    return {row["user_id"]: row["model_calls"] for row in rows}


def wait_for(ready: Callable[[], Any], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not ready():
        assert time.monotonic() < deadline, f"nothing after {timeout_s} s"
        time.sleep(0.02)
