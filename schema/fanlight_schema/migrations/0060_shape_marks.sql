-- shape_marks: actions that were counted anew and whose shape is to be computed again. A mark is the build that counted
-- them. It is taken back when the shape that saw it is written, as in touched.
--
-- The sort key answers: is this mark still standing?
CREATE TABLE IF NOT EXISTS shape_marks
(
    action_id FixedString(16) COMMENT 'Action that was counted anew',
    build     UInt64          COMMENT 'Build that counted it',
    hour      DateTime('UTC') COMMENT 'Hour in which the action began, UTC',
    spans     UInt32          COMMENT 'Spans of the action: how much work its shape is',
    sign      Int8            COMMENT '1 when set, -1 when taken back'
)
ENGINE = CollapsingMergeTree(sign)
ORDER BY (action_id, build)
COMMENT 'Marks of actions whose shape is to be computed again; standing where the signs of a mark add up to 1';
