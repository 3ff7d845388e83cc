-- shape_marks_mv: marks every action that a build counted.
CREATE MATERIALIZED VIEW IF NOT EXISTS shape_marks_mv TO shape_marks AS
SELECT
    action_id,
    build,
    toStartOfHour(started_at) AS hour,
    spans,
    toInt8(1) AS sign
FROM cascades
WHERE started_at >= '1970-02-01' AND is_deleted = 0;
