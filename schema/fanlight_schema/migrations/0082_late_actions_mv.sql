-- late_actions_mv: tells of actions that got spans and were not counted anew, because spans of them are of days that are
-- no longer kept: their figures stay those of all their spans. It follows a completed build.
CREATE MATERIALIZED VIEW IF NOT EXISTS late_actions_mv TO ingest_rejects AS
SELECT
    now64(3) AS time,
    'late_action' AS reason,
    concat('action ', lower(hex(action_id))) AS detail,
    toUInt64(1) AS count,
    'build' AS source
FROM cascades
ARRAY JOIN late AS action_id
WHERE started_at < '1970-01-02';
