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
SEEN: dict[Outcome, dict[str, str]] = {
    "answered": {"fanlight.request.outcome": "answered", "http.response.status_code": "200"},
    "refused": {"fanlight.request.outcome": "refused", "http.response.status_code": "429"},
    "timed_out": {"fanlight.request.outcome": "unknown", "error.type": "APITimeoutError"},
    "server_error": {"fanlight.request.outcome": "unknown", "http.response.status_code": "502"},
    "cut": {"fanlight.request.outcome": "unknown", "http.response.status_code": "200"},
}
NAMES = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "max_tokens": "gen_ai.request.max_tokens",
    "inputs": "fanlight.inputs",
    "choices": "gen_ai.request.choice.count",
}


def random_request(dice: random.Random) -> Request:
    inputs = dice.choice([None, dice.randint(1, 50_000)])
    return Request(
        outcome=dice.choice(list(SEEN)),
        input_tokens=inputs,
        output_tokens=dice.choice([None, dice.randint(0, 5_000)]),
        cached_tokens=dice.choice([None, dice.randint(0, inputs or 1)]),
        max_tokens=dice.choice([None, dice.randint(1, 4_000)]),
        inputs=dice.randint(1, 3),
        choices=dice.randint(1, 3),
        prefix_seen=dice.random() < 0.5,
    )


def as_span(number: int, request: Request) -> dict[str, Any]:
    told = {name: getattr(request, field) for field, name in NAMES.items()}
    attributes = {name: str(value) for name, value in told.items() if value is not None}
    attributes |= {"fanlight.role": "call", "fanlight.wire": "true", "fanlight.requests": "1"}
    attributes |= {"gen_ai.request.model": "m"} | SEEN[request.outcome]
    if request.prefix_seen:
        attributes["session.id"] = f"s-{number}"
    return otlp_json.row(
        trace_id=f"{number:032x}",
        span_id=f"{number:016x}",
        start_ns=START_NS,
        end_ns=START_NS + 1,
        attributes=attributes,
    )


def test_sql_and_python_agree_on_the_work_of_any_request(embedded_store: Store) -> None:
    dice = random.Random(5)
    requests = {number: random_request(dice) for number in range(1, 301)}
    rows = [as_span(number, request) for number, request in requests.items()]
    embedded_store.insert("otel_traces", otlp_json.columns(rows))
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
