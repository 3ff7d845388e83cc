-- spans_rejects_mv: counts the spans that spans_mv does not take: no usable id, or a start out of reach.
CREATE MATERIALIZED VIEW IF NOT EXISTS spans_rejects_mv TO ingest_rejects AS
SELECT
    now64(3) AS time,
    multiIf(
        NOT (lower(hex(unhex(TraceId))) = lower(TraceId) AND length(TraceId) = 32 AND match(TraceId, '[^0]')), 'bad_trace_id',
        NOT (lower(hex(unhex(SpanId))) = lower(SpanId) AND length(SpanId) = 16 AND match(SpanId, '[^0]')), 'bad_span_id',
        NOT (Timestamp > now() - INTERVAL 8 YEAR AND Timestamp < now() + INTERVAL 1 DAY), 'bad_time',
        ''
    ) AS reason,
    concat('service ', left(any(ServiceName), 256)) AS detail,
    count() AS count,
    'spans' AS source
FROM otel_traces
GROUP BY reason
HAVING reason != '';
