"""Requests of one call in two hours, and calls whose process died: hand-computed cases."""

from typing import Any

import pytest

import otlp_json
from fanlight_schema import refresh
from fanlight_schema.store import Store

HOUR_NS = 3_600 * 10**9
START_NS = 1_795_400_000 * 10**9 // HOUR_NS * HOUR_NS
TRACE = "0" * 31 + "1"
CALL = {
    "fanlight.role": "call",
    "fanlight.wire": "true",
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "qwen3-8b",
    "gen_ai.usage.input_tokens": "1000",
    "gen_ai.usage.output_tokens": "100",
    "server.address": "gpu.example",
}


def span(
    number: int, at_s: int, attributes: dict[str, str], parent: int = 0, **changes: Any
) -> dict[str, Any]:
    start = START_NS + at_s * 10**9
    row = otlp_json.row(
        trace_id=TRACE,
        span_id=f"{number:016x}",
        parent_id=f"{parent:016x}" if parent else "",
        start_ns=start,
        end_ns=start + 10**9,
        attributes=attributes,
    )
    return row | changes


def settled(store: Store, *rows: dict[str, Any]) -> None:
    store.insert("otel_traces", otlp_json.columns(list(rows)))
    refresh.settle(store, timeout_s=60)


def request(number: int, at_s: int, outcome: str) -> dict[str, Any]:
    own = CALL | {"fanlight.role": "request", "fanlight.request.outcome": outcome}
    return span(number, at_s, own, parent=1)


# hour, calls, requests, failed calls, input tokens; requests: seen, without known cache reads, without known
# work, that worked; their input tokens; requests at the low and at the high bound; output at the high bound
DEMAND = """
    SELECT toUnixTimestamp(hour) - {start}, calls, requests, errors, coalesce(input_tokens, 0), observed,
        cache_unknown, unmeasured, work[1], work[2], work[7], work[13], work[16]
    FROM (SELECT * FROM cascades FINAL WHERE spans > 0)
    ARRAY JOIN
        `demand.hour` AS hour, `demand.calls` AS calls, `demand.requests` AS requests,
        `demand.errors` AS errors,
        `demand.input_tokens` AS input_tokens, `demand.requests_observed` AS observed, `demand.work` AS work,
        `demand.cache_unknown` AS cache_unknown, `demand.unmeasured` AS unmeasured
    ORDER BY hour
""".replace("{start}", str(START_NS // 10**9))
MOST = 16_384  # the token limit that is assumed where none was given


def test_each_request_of_a_retried_call_stands_in_its_own_hour(embedded_store: Store) -> None:
    rows = [
        span(1, 3_500, CALL | {"fanlight.requests": "4"}),
        request(2, 3_501, "refused"),
        request(3, 3_502, "unknown"),
        request(4, 3_601, "unknown"),
        request(5, 7_201, "answered"),
    ]
    settled(embedded_store, *rows)
    assert embedded_store.query(DEMAND).rows == [
        (0, 0, 2, 0, 0, 2, 1, 0, 1, 1000, 1, 1, MOST),
        (3600, 0, 1, 0, 0, 1, 1, 0, 1, 1000, 1, 1, MOST),
        (7200, 1, 1, 0, 1000, 1, 1, 0, 1, 1000, 1, 1, 100),
    ]
    in_all = "arraySum(`calls.requests`), `calls.work`[1][1], `calls.work`[1][16]"
    found = embedded_store.query(f"SELECT {in_all} FROM cascades FINAL WHERE spans > 0")
    assert found.rows == [(4, 3, 2 * MOST + 100)]


def test_each_unknown_answer_is_bounded_by_the_time_of_its_own_request(embedded_store: Store) -> None:
    silent = {name: value for name, value in CALL.items() if name != "gen_ai.usage.output_tokens"}
    own = silent | {"fanlight.role": "request", "fanlight.request.outcome": "unknown"}
    failed = own | {"http.response.status_code": "500"}
    settled(
        embedded_store,
        span(1, 3_500, silent | {"fanlight.requests": "4"}),  # the fourth is told by no span
        span(2, 3_501, failed, 1, Duration=2 * 10**6),
        span(3, 3_601, failed, 1, Duration=10 * 10**6),
        span(4, 3_602, own, 1, Duration=10 * 10**6),  # its client left, so the engine may have gone on
    )
    most = [[21.0], [105.0, MOST, MOST]]  # at 10,500 tokens/s
    found = embedded_store.query(
        "SELECT work[16], work[18] FROM (SELECT * FROM cascades FINAL WHERE spans > 0)"
        " ARRAY JOIN `demand.work` AS work, `demand.hour` AS hour ORDER BY hour"
    )
    expected = [(sum(tokens), sum(o * (1_000 + o / 2) for o in tokens)) for tokens in most]
    assert found.rows == [pytest.approx(row) for row in expected]


DIED = {"Duration": 0, "StatusCode": "Error"}


@pytest.mark.parametrize("real_end_first", [True, False])
def test_real_end_beats_that_of_a_process_that_died(embedded_store: Store, real_end_first: bool) -> None:
    died = span(1, 0, CALL | {"error.type": "process_died", "a": "", "b": "", "c": ""}, **DIED)
    ended = span(1, 0, CALL | {"fanlight.requests": "1"})
    for row in (ended, died) if real_end_first else (died, ended):
        settled(embedded_store, row)
    calls = embedded_store.query("SELECT is_error, error_type, requests_source, duration_s FROM model_calls")
    assert calls.rows == [(False, "", "observed", 1.0)]


def test_call_of_a_process_that_died_is_one_request_with_unknown_outcome(embedded_store: Store) -> None:
    settled(embedded_store, span(1, 0, CALL | {"error.type": "process_died"}, **DIED))
    calls = embedded_store.query(
        "SELECT requests, requests_source, requests_refused, is_error FROM model_calls"
    )
    assert calls.rows == [(1, "assumed", 0, True)]
    # as of a request that timed out: it may have done nothing (low bound 0) or all that was allowed
    assert embedded_store.query(DEMAND).rows == [(0, 1, 1, 1, 1000, 0, 1, 0, 1, 1000, 0, 1, MOST)]


def test_died_process_keeps_the_requests_that_were_seen(embedded_store: Store) -> None:
    died = span(1, 0, CALL | {"error.type": "process_died"}, **DIED)
    settled(embedded_store, died, request(2, 1, "refused"), request(3, 2, "unknown"))
    calls = embedded_store.query("SELECT requests, requests_refused FROM model_calls")
    assert calls.rows == [(2, 1)]
