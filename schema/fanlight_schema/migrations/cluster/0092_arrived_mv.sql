-- arrived_mv: follows trace_index.
CREATE MATERIALIZED VIEW IF NOT EXISTS arrived_mv TO arrived AS
SELECT
    trace_id,
    generateUUIDv4() AS mark,
    groupUniqArrayArray(actions) AS actions,
    toInt8(1) AS sign
FROM trace_index
GROUP BY trace_id;
