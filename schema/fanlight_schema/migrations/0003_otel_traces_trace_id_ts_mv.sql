-- otel_traces_trace_id_ts_mv: fills otel_traces_trace_id_ts from every insert into otel_traces, whichever route
-- the spans took. min and max over DateTime cannot throw, so no batch is rejected because of it.
CREATE MATERIALIZED VIEW IF NOT EXISTS otel_traces_trace_id_ts_mv TO otel_traces_trace_id_ts AS
SELECT
    TraceId,
    min(Timestamp) AS Start,
    max(Timestamp) AS End
FROM otel_traces
WHERE TraceId != ''
GROUP BY TraceId;
