"""Tables as the OpenTelemetry Collector's clickhouseexporter makes them: stores that are there already.

Written after its templates (contrib, exporter/clickhouseexporter/internal/sqltemplates, 0.130 to 0.159): the
columns and keys are theirs.
"""

from typing import Literal, TypeAlias

from fanlight_schema.store import Store

Form: TypeAlias = Literal["map", "json", "json without keys", "map of 0.130"]
FORMS: tuple[Form, ...] = ("map", "json", "json without keys", "map of 0.130")
MAP, TEXT = "Map(LowCardinality(String), String)", "LowCardinality(String)"


def create(store: Store, form: Form, ttl: str = "") -> None:
    """otel_traces, otel_traces_trace_id_ts and the view between them."""
    attributes = "JSON" if form.startswith("json") else MAP
    keys = form == "json"
    key_column = (f", ResourceAttributesKeys Array({TEXT}), SpanAttributesKeys Array({TEXT})") if keys else ""
    store.command(
        f"""
        CREATE TABLE otel_traces
        (
            Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)), TraceId String, SpanId String, ParentSpanId String,
            TraceState String, SpanName {TEXT}, SpanKind {TEXT}, ServiceName {TEXT},
            ResourceAttributes {attributes}, ScopeName String, ScopeVersion String,
            SpanAttributes {attributes}, Duration UInt64, StatusCode {TEXT}, StatusMessage String,
            Events Nested (Timestamp DateTime64(9), Name {TEXT}, Attributes {attributes}),
            Links Nested (TraceId String, SpanId String, TraceState String, Attributes {attributes})
            {key_column},
            INDEX idx_duration Duration TYPE minmax GRANULARITY 1
        )
        ENGINE = MergeTree
        PARTITION BY toDate(Timestamp)
        ORDER BY (ServiceName, SpanName, toDateTime(Timestamp), Timestamp)
        {ttl}
        SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1
        """
    )
    if form == "map of 0.130":
        columns, engine = "TraceId String, Start DateTime, End DateTime", "MergeTree"
        keyed = "PARTITION BY toDate(Start) ORDER BY (TraceId, Start)"
    else:
        bounds = ("min", "max")
        start, end = (f"SimpleAggregateFunction({bound}, DateTime)" for bound in bounds)
        columns, engine = f"TraceId String, Start {start}, End {end}", "AggregatingMergeTree"
        keyed = "PARTITION BY toStartOfWeek(Start) ORDER BY TraceId"
    store.command(f"CREATE TABLE otel_traces_trace_id_ts ({columns}) ENGINE = {engine} {keyed}")
    store.command(
        "CREATE MATERIALIZED VIEW otel_traces_trace_id_ts_mv TO otel_traces_trace_id_ts AS"
        " SELECT TraceId, min(Timestamp) AS Start, max(Timestamp) AS End"
        " FROM otel_traces WHERE TraceId != '' GROUP BY TraceId"
    )
