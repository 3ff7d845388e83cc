"""The work features that SQL gives a call are those of fanlight_schema.gpu.features, written apart."""

import random
from dataclasses import astuple
from typing import Any

import pytest

import otlp_json
from fanlight_schema import refresh
from fanlight_schema.gpu.features import Outcome, Request, work_range
from fanlight_schema.store import Store

START_NS = 1_795_400_000 * 10**9
UNKNOWN = {"fanlight.request.outcome": "unknown"}
STATUS = "http.response.status_code"
# What a span says of its request, what that means, and whether the engine can have worked on it for the
# span's time at most: one that nobody waits for any more, and that sends nothing, may go on.
SEEN: tuple[tuple[dict[str, str], Outcome, bool], ...] = (
    ({"fanlight.request.outcome": "answered", STATUS: "200"}, "answered", True),
    ({"fanlight.request.outcome": "refused", STATUS: "429"}, "refused", True),
    (UNKNOWN | {STATUS: "500"}, "server_error", True),
    (UNKNOWN | {STATUS: "502"}, "server_error", True),
    (UNKNOWN | {STATUS: "504"}, "server_error", False),
    (UNKNOWN | {STATUS: "200"}, "cut", True),
    (UNKNOWN | {"error.type": "CancelledError"}, "cancelled", False),
    (UNKNOWN | {"error.type": "CancelledError", "gen_ai.request.stream": "true"}, "cancelled", True),
    (UNKNOWN | {"error.type": "APITimeoutError"}, "timed_out", False),
    (UNKNOWN | {"error.type": "APITimeoutError", "gen_ai.request.stream": "true"}, "timed_out", True),
)
DURATIONS_NS = (0, 1, 3 * 10**6, 400 * 10**6, 3 * 10**9, 700 * 10**9)
NAMES = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "max_tokens": "gen_ai.request.max_tokens",
    "inputs": "fanlight.inputs",
    "choices": "gen_ai.request.choice.count",
}


def random_request(dice: random.Random, outcome: Outcome, worked_s: float | None) -> Request:
    inputs = dice.choice([None, dice.randint(1, 50_000)])
    return Request(
        outcome=outcome,
        input_tokens=inputs,
        output_tokens=dice.choice([None, dice.randint(0, 5_000)]),
        cached_tokens=dice.choice([None, dice.randint(0, inputs or 1)]),
        max_tokens=dice.choice([None, dice.randint(1, 4_000)]),
        inputs=dice.randint(1, 3),
        choices=dice.randint(1, 3),
        prefix_seen=dice.random() < 0.5,
        worked_s=worked_s,
    )


def random_span(dice: random.Random, number: int) -> tuple[dict[str, Any], Request]:
    seen, outcome, ends = dice.choice(SEEN)
    duration_ns = dice.choice(DURATIONS_NS)
    request = random_request(dice, outcome, duration_ns / 1e9 if ends and duration_ns else None)
    return as_span(number, request, seen, duration_ns), request


def as_span(number: int, request: Request, seen: dict[str, str], duration_ns: int) -> dict[str, Any]:
    told = {name: getattr(request, field) for field, name in NAMES.items()}
    attributes = {name: str(value) for name, value in told.items() if value is not None}
    attributes |= {"fanlight.role": "call", "fanlight.wire": "true", "fanlight.requests": "1"}
    attributes |= {"gen_ai.request.model": "m"} | seen
    if request.prefix_seen:
        attributes["session.id"] = f"s-{number}"
    return otlp_json.row(
        trace_id=f"{number:032x}",
        span_id=f"{number:016x}",
        start_ns=START_NS,
        end_ns=START_NS + duration_ns,
        attributes=attributes,
    )


def test_sql_and_python_agree_on_the_work_of_any_request(embedded_store: Store) -> None:
    dice = random.Random(5)
    told = [random_span(dice, number) for number in range(1, 601)]
    requests = {number: request for number, (_, request) in enumerate(told, 1)}
    embedded_store.insert("otel_traces", otlp_json.columns([row for row, _ in told]))
    refresh.settle(embedded_store, timeout_s=60)
    found = embedded_store.query(
        "SELECT `calls.id`[1], `calls.work`[1], `calls.unmeasured`[1], `calls.cache_unknown`[1]"
        " FROM cascades FINAL WHERE started_at > '1971-01-01'"
    ).rows
    assert len(found) == len(requests)
    for number, work, unmeasured, cache_unknown in found:
        expected = work_range(requests[number])
        assert unmeasured == (expected is None), requests[number]
        if expected is not None:
            wanted = [*astuple(expected.value), *astuple(expected.low), *astuple(expected.high)]
            assert work == pytest.approx(wanted), requests[number]
            assert cache_unknown == expected.cache_unknown, requests[number]
    stored = embedded_store.query(
        "SELECT DISTINCT length(`calls.stored_work`[1]) FROM cascades FINAL WHERE started_at > '1971-01-01'"
    ).rows
    # unknown, what follows from the tokens, all else: the figures above come from each form
    assert {row[0] for row in stored} == {0, 1, 18}
