"""Reads OTLP/JSON trace files into otel_traces' columns: a second reader, apart from the collector's own.

columns = otlp_json.columns(otlp_json.read_spans(path))
store.insert("otel_traces", columns)
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
STATUSES = ("Unset", "Ok", "Error")
Row = dict[str, Any]


def as_text(value: dict[str, Any]) -> str:
    """An AnyValue as the exporter's maps hold it."""
    kind, content = next(iter(value.items()), ("stringValue", ""))
    if kind == "boolValue":
        return "true" if content else "false"
    if kind == "arrayValue":
        return json.dumps([as_text(item) for item in content.get("values", [])])
    if kind == "kvlistValue":
        return json.dumps({item["key"]: as_text(item["value"]) for item in content.get("values", [])})
    return str(content)


def as_map(attributes: Iterable[dict[str, Any]]) -> dict[str, str]:
    return {item["key"]: as_text(item.get("value", {})) for item in attributes}


def row(
    *,
    trace_id: str,
    span_id: str,
    parent_id: str = "",
    start_ns: int,
    end_ns: int,
    name: str = "span",
    kind: str = "Internal",
    service: str = "test",
    scope: str = "test",
    attributes: dict[str, str] | None = None,
    resource: dict[str, str] | None = None,
    status: str = "Unset",
) -> Row:
    """One row of otel_traces without events and links."""
    return {
        "Timestamp": start_ns,
        "TraceId": trace_id,
        "SpanId": span_id,
        "ParentSpanId": parent_id,
        "TraceState": "",
        "SpanName": name,
        "SpanKind": kind,
        "ServiceName": service,
        "ResourceAttributes": {"service.name": service, **(resource or {})},
        "ScopeName": scope,
        "ScopeVersion": "",
        "SpanAttributes": attributes or {},
        "Duration": end_ns - start_ns,
        "StatusCode": status,
        "StatusMessage": "",
        "Events.Timestamp": [],
        "Events.Name": [],
        "Events.Attributes": [],
        "Links.TraceId": [],
        "Links.SpanId": [],
        "Links.TraceState": [],
        "Links.Attributes": [],
    }


def read_spans(path: Path) -> list[Row]:
    """The spans of one ExportTraceServiceRequest in OTLP/JSON."""
    return [
        _row(
            span,
            as_map(resource_spans.get("resource", {}).get("attributes", [])),
            scope_spans.get("scope", {}),
        )
        for resource_spans in json.loads(path.read_text())["resourceSpans"]
        for scope_spans in resource_spans["scopeSpans"]
        for span in scope_spans["spans"]
    ]


def _row(span: dict[str, Any], resource: dict[str, str], scope: dict[str, Any]) -> Row:
    return row(
        trace_id=span["traceId"],
        span_id=span["spanId"],
        parent_id=span.get("parentSpanId", ""),
        start_ns=int(span["startTimeUnixNano"]),
        end_ns=int(span["endTimeUnixNano"]),
        name=span["name"],
        kind=KINDS[int(span.get("kind", 0))],
        service=resource.get("service.name", ""),
        scope=scope.get("name", ""),
        attributes=as_map(span.get("attributes", [])),
        resource=resource,
        status=STATUSES[int(span.get("status", {}).get("code", 0))],
    )


def columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Rows as columns, in the order of the first row."""
    return {name: [item[name] for item in rows] for name in rows[0]} if rows else {}
