-- shape_done_mv: takes back the marks that a shape has seen.
CREATE MATERIALIZED VIEW IF NOT EXISTS shape_done_mv TO shape_marks AS
SELECT
    action_id,
    arrayJoin(marks) AS build,
    toInt8(-1) AS sign
FROM shapes
WHERE notEmpty(marks);
