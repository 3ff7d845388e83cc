"""The columns of `otel_traces`, as the Collector's clickhouseexporter writes them (map columns).

Source: opentelemetry-collector-contrib, exporter/clickhouseexporter, internal/sqltemplates/traces_insert.sql.
Times are nanoseconds since 1970, UTC; `Duration` is in nanoseconds; ids are lower-case hexadecimal; a value
that is no string stands in the maps as the text that the Collector's Value.AsString gives.
"""

from typing import Final

TABLE: Final = "otel_traces"

COLUMNS: Final = (
    "Timestamp",
    "TraceId",
    "SpanId",
    "ParentSpanId",
    "TraceState",
    "SpanName",
    "SpanKind",
    "ServiceName",
    "ResourceAttributes",
    "ScopeName",
    "ScopeVersion",
    "SpanAttributes",
    "Duration",
    "StatusCode",
    "StatusMessage",
    "Events.Timestamp",
    "Events.Name",
    "Events.Attributes",
    "Links.TraceId",
    "Links.SpanId",
    "Links.TraceState",
    "Links.Attributes",
)
