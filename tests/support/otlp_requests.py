"""Builds OTLP trace requests as protobuf, and writes them as OTLP/JSON by the specification, for tests."""

import base64
import math
import time
from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span


def any_value(value: Any) -> AnyValue:
    """A Python value as AnyValue; None is the unset value."""
    if value is None:
        return AnyValue()
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=map(any_value, value)))
    return AnyValue(string_value=value)


def key_values(attributes: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def make_span(number: int = 1, **fields: Any) -> Span:
    """A good span of a second that has just ended; `fields` change it."""
    start_ns = time.time_ns() - 2 * 10**9
    attributes = fields.pop("attributes", {"fanlight.role": "call", "gen_ai.usage.input_tokens": 7})
    good: dict[str, Any] = {
        "trace_id": bytes([1] * 15 + [1 + number % 250]),
        "span_id": (number + 1).to_bytes(8, "big"),
        "name": f"span {number}",
        "kind": 3,
        "start_time_unix_nano": start_ns,
        "end_time_unix_nano": start_ns + 10**9,
    }
    return Span(**{**good, **fields}, attributes=key_values(attributes))


def make_request(spans: Iterable[Span], service: str = "tests") -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values({"service.name": service}))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name, scope_spans.scope.version = "fanlight", "0.1.0"
    scope_spans.spans.extend(spans)
    return request


def to_json(request: ExportTraceServiceRequest) -> dict[str, Any]:
    """The request in OTLP/JSON: hex ids, 64-bit integers as strings, enums as numbers, bytes in base64."""
    return {"resourceSpans": [_resource_spans(part) for part in request.resource_spans]}


def _resource_spans(part: ResourceSpans) -> dict[str, Any]:
    return {
        "resource": {"attributes": _attributes(part.resource.attributes)},
        "scopeSpans": [_scope_spans(scope) for scope in part.scope_spans],
    }


def _scope_spans(part: ScopeSpans) -> dict[str, Any]:
    return {
        "scope": {"name": part.scope.name, "version": part.scope.version},
        "spans": [_span(span) for span in part.spans],
    }


def _span(span: Span) -> dict[str, Any]:
    return {
        "traceId": span.trace_id.hex().upper(),  # the specification has hex case-insensitive
        "spanId": span.span_id.hex(),
        "parentSpanId": span.parent_span_id.hex(),
        "traceState": span.trace_state,
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.start_time_unix_nano),
        "endTimeUnixNano": str(span.end_time_unix_nano),
        "attributes": _attributes(span.attributes),
        "events": [
            {
                "timeUnixNano": str(event.time_unix_nano),
                "name": event.name,
                "attributes": _attributes(event.attributes),
            }
            for event in span.events
        ],
        "links": [
            {
                "traceId": link.trace_id.hex(),
                "spanId": link.span_id.hex(),
                "traceState": link.trace_state,
                "attributes": _attributes(link.attributes),
            }
            for link in span.links
        ],
        "status": {"code": span.status.code, "message": span.status.message},
        "flags": span.flags,
        "aFieldOfTheFuture": {"x": [1]},
    }


def _attributes(pairs: Iterable[KeyValue]) -> list[dict[str, Any]]:
    return [{"key": pair.key, "value": _value(pair.value)} for pair in pairs]


def _value(value: AnyValue) -> dict[str, Any]:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return {"stringValue": value.string_value}
    if kind == "bool_value":
        return {"boolValue": value.bool_value}
    if kind == "int_value":
        return {"intValue": str(value.int_value)}
    if kind == "double_value":
        return {"doubleValue": _double(value.double_value)}
    if kind == "bytes_value":
        return {"bytesValue": base64.b64encode(value.bytes_value).decode()}
    if kind == "array_value":
        return {"arrayValue": {"values": [_value(item) for item in value.array_value.values]}}
    if kind == "kvlist_value":
        return {"kvlistValue": {"values": _attributes(value.kvlist_value.values)}}
    return {}


def _double(number: float) -> float | str:
    if math.isnan(number):
        return "NaN"
    return number if math.isfinite(number) else "Infinity" if number > 0 else "-Infinity"
