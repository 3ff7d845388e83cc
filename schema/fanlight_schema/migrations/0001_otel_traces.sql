-- otel_traces: every span as it came, column for column what the OpenTelemetry Collector's clickhouseexporter
-- writes (map columns, 0.13x to 0.159), so a collector with create_schema: false, Grafana's trace view and
-- fanlight share one table.
--
-- The sort key answers: which spans of this service and name fell into this time? It is the exporter's own. A
-- trace is found through the bloom filter on TraceId and the days in otel_traces_trace_id_ts.
-- Codecs: Delta before ZSTD where values grow (time), T64 where they are small integers (Duration), ZSTD(1)
-- elsewhere; measured 81 bytes a span with 32 attributes. The exporter's text indexes are left out: they
-- measured 56 bytes a span more and a third of the insert speed, for free-text search that fanlight does not do.
-- Partitions are days, so that a day can be dropped.
-- There is no TTL: data that is imported late would vanish in the moment it arrives, and nobody would be told.
-- Set one with ALTER TABLE otel_traces MODIFY TTL toDate(Timestamp) + INTERVAL 30 DAY once that is wanted.
-- non_replicated_deduplication_window drops an insert that is resent unchanged; counts never depend on it.
CREATE TABLE IF NOT EXISTS otel_traces
(
    Timestamp          DateTime64(9)                       COMMENT 'Start of the span, UTC, nanoseconds' CODEC(Delta(8), ZSTD(1)),
    TraceId            String                              COMMENT 'Trace id, 32 lower-case hexadecimal digits' CODEC(ZSTD(1)),
    SpanId             String                              COMMENT 'Span id, 16 lower-case hexadecimal digits' CODEC(ZSTD(1)),
    ParentSpanId       String                              COMMENT 'Span id of the parent, empty for a root' CODEC(ZSTD(1)),
    TraceState         String                              COMMENT 'W3C tracestate header' CODEC(ZSTD(1)),
    SpanName           LowCardinality(String)              COMMENT 'Name of the span' CODEC(ZSTD(1)),
    SpanKind           LowCardinality(String)              COMMENT 'Unspecified, Internal, Server, Client, Producer or Consumer' CODEC(ZSTD(1)),
    ServiceName        LowCardinality(String)              COMMENT 'Resource attribute service.name' CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) COMMENT 'Attributes of the resource that sent the span, as text' CODEC(ZSTD(1)),
    ScopeName          String                              COMMENT 'Instrumentation scope: the library that made the span' CODEC(ZSTD(1)),
    ScopeVersion       String                              COMMENT 'Version of the instrumentation scope' CODEC(ZSTD(1)),
    SpanAttributes     Map(LowCardinality(String), String) COMMENT 'Attributes of the span, as text' CODEC(ZSTD(1)),
    Duration           UInt64                              COMMENT 'End minus start, nanoseconds' CODEC(T64, ZSTD(1)),
    StatusCode         LowCardinality(String)              COMMENT 'Unset, Ok or Error' CODEC(ZSTD(1)),
    StatusMessage      String                              COMMENT 'Description of the status' CODEC(ZSTD(1)),
    `Events.Timestamp`  Array(DateTime64(9))                       COMMENT 'Time of each event, UTC, nanoseconds' CODEC(ZSTD(1)),
    `Events.Name`       Array(LowCardinality(String))              COMMENT 'Name of each event' CODEC(ZSTD(1)),
    `Events.Attributes` Array(Map(LowCardinality(String), String)) COMMENT 'Attributes of each event, as text' CODEC(ZSTD(1)),
    `Links.TraceId`     Array(String)                              COMMENT 'Trace id of each linked span, hexadecimal' CODEC(ZSTD(1)),
    `Links.SpanId`      Array(String)                              COMMENT 'Span id of each linked span, hexadecimal' CODEC(ZSTD(1)),
    `Links.TraceState`  Array(String)                              COMMENT 'W3C tracestate of each link' CODEC(ZSTD(1)),
    `Links.Attributes`  Array(Map(LowCardinality(String), String)) COMMENT 'Attributes of each link, as text' CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
PRIMARY KEY (ServiceName, SpanName, toDateTime(Timestamp))
ORDER BY (ServiceName, SpanName, toDateTime(Timestamp), Timestamp)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000
COMMENT 'Spans as they came over OTLP, one row each time one came; a span that was resent may be here twice';
