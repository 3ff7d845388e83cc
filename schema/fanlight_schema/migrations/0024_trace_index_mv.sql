-- trace_index_mv: follows every insert into spans.
CREATE MATERIALIZED VIEW IF NOT EXISTS trace_index_mv TO trace_index AS
SELECT
    trace_id,
    toStartOfHour(started_at) AS hour,
    max(toUInt8(role != 'other' OR action_id != toFixedString('', 16))) AS is_cascade,
    groupUniqArrayIf(action_id, action_id != toFixedString('', 16)) AS actions,
    count() AS arrivals
FROM spans
GROUP BY trace_id, hour;
