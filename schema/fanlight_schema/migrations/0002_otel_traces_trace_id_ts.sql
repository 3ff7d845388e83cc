-- otel_traces_trace_id_ts: the times between which a trace has spans, so that one trace can be read without
-- looking at every day. The OpenTelemetry Collector's exporter and Grafana's data source use this name.
--
-- The sort key answers: when was this trace? Rows of one trace merge to their smallest start and largest end,
-- which a resent span does not change.
CREATE TABLE IF NOT EXISTS otel_traces_trace_id_ts
(
    TraceId String                                 COMMENT 'Trace id, 32 lower-case hexadecimal digits' CODEC(ZSTD(1)),
    Start   SimpleAggregateFunction(min, DateTime) COMMENT 'Start of the trace''s first span, UTC, seconds' CODEC(Delta(4), ZSTD(1)),
    End     SimpleAggregateFunction(max, DateTime) COMMENT 'Start of the trace''s last span, UTC, seconds' CODEC(Delta(4), ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toStartOfWeek(Start)
ORDER BY TraceId
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Between which times each trace has spans; may hold several rows of a trace, take min(Start) and max(End)';
