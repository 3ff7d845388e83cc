"""Small OTLP/JSON requests of fanlight's spans, written by hand for tests that need no tracer."""

import json
import secrets
import time
import urllib.request
from typing import Any

from fanlight_schema import attributes as names


def action_with_calls(user: str, calls: int) -> list[dict[str, Any]]:
    """A declared action and its calls, one request and 100/10 tokens each."""
    trace_id, root_id = secrets.token_hex(16), secrets.token_hex(8)
    shared = {
        names.ACTION_ID: trace_id,
        names.ACTION_NAME: "ask",
        names.ACTION_ORIGIN: "user",
        names.ACTION_SOURCE: "declared",
        names.WORKLOAD: "serving",
        names.USER_ID: user,
        names.HOP: 0,
    }
    call = {
        names.ROLE: "call",
        names.OPERATION_NAME: "chat",
        names.REQUEST_MODEL: "some-model",
        names.WIRE: True,
        names.REQUESTS: 1,
        names.REQUEST_OUTCOME: "answered",
        names.INPUT_TOKENS: 100,
        names.OUTPUT_TOKENS: 10,
        names.USAGE_SOURCE: "reported",
    }
    spans = [
        span(trace_id, secrets.token_hex(8), "chat some-model", root_id, shared | call) for _ in range(calls)
    ]
    return [*spans, span(trace_id, root_id, "ask", "", {**shared, names.ROLE: "action"})]


def span(
    trace_id: str, span_id: str, name: str, parent_id: str, attributes: dict[str, str | int | bool]
) -> dict[str, Any]:
    """One span of a millisecond that has just ended."""
    now_ns = time.time_ns()
    return {
        "traceId": trace_id,
        "spanId": span_id,
        "parentSpanId": parent_id,
        "name": name,
        "kind": 3,
        "startTimeUnixNano": str(now_ns - 1_000_000),
        "endTimeUnixNano": str(now_ns),
        "attributes": [{"key": key, "value": _value(value)} for key, value in attributes.items()],
    }


def send(url: str, spans: list[dict[str, Any]]) -> int:
    """Posts one request to a collector; the status of its answer. OSError if none comes."""
    scope_spans = [{"scope": {"name": "fanlight"}, "spans": spans}]
    body = json.dumps({"resourceSpans": [{"resource": {}, "scopeSpans": scope_spans}]}).encode()
    request = urllib.request.Request(f"{url}/v1/traces", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        status: int = answer.status
        return status


def _value(value: str | int | bool) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}
