-- touched_mv: follows action_traces.
CREATE MATERIALIZED VIEW IF NOT EXISTS touched_mv TO touched AS
SELECT
    trace_id,
    generateUUIDv4() AS mark,
    toInt8(1) AS sign
FROM action_traces
GROUP BY trace_id;
