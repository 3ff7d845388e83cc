-- spans_rejects_mv: counts the spans that spans_mv does not take: no usable id, a start out of reach (bad_time), or a day
-- that is no longer kept (late). raw_not_kept are spans in the figures whose row in otel_traces is older than that keeps.
CREATE MATERIALIZED VIEW IF NOT EXISTS spans_rejects_mv TO ingest_rejects AS
WITH
    (SELECT if(argMax(keep_days, set_at) = 0, toDateTime(0, 'UTC'), now('UTC') - toIntervalDay(argMax(keep_days, set_at))) FROM retention WHERE name = 'spans') AS kept_from,
    (SELECT if(argMax(keep_days, set_at) = 0, toDateTime(0, 'UTC'), now('UTC') - toIntervalDay(argMax(keep_days, set_at))) FROM retention WHERE name = 'otel_traces') AS raw_kept_from
SELECT
    now64(3) AS time,
    multiIf(
        NOT (lower(hex(unhex(TraceId))) = lower(TraceId) AND length(TraceId) = 32 AND match(TraceId, '[^0]')), 'bad_trace_id',
        NOT (lower(hex(unhex(SpanId))) = lower(SpanId) AND length(SpanId) = 16 AND match(SpanId, '[^0]')), 'bad_span_id',
        NOT (Timestamp > now() - INTERVAL 8 YEAR AND Timestamp < now() + INTERVAL 1 DAY), 'bad_time',
        Timestamp < kept_from, 'late',
        Timestamp < raw_kept_from, 'raw_not_kept',
        ''
    ) AS reason,
    concat('service ', left(any(ServiceName), 256)) AS detail,
    count() AS count,
    'spans' AS source
FROM otel_traces
GROUP BY reason
HAVING reason != '';
