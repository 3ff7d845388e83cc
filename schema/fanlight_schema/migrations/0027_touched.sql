-- touched: traces that got spans and whose actions are to be counted again. A row is written when spans arrive and
-- taken back, by its own id and never by a clock, when the counting that saw it is complete; a pair of rows that
-- cancel each other disappears in the next merge, so the table stays as small as the backlog.
-- It is written last in the chain of views, when what it speaks of can be read.
--
-- The sort key answers: is this mark still standing?
CREATE TABLE IF NOT EXISTS touched
(
    trace_id FixedString(16) COMMENT 'Trace that got spans',
    mark     UUID            COMMENT 'Id of this mark; every insert makes new ones',
    sign     Int8            COMMENT '1 when set, -1 when taken back'
)
ENGINE = CollapsingMergeTree(sign)
ORDER BY (trace_id, mark)
COMMENT 'Marks of traces that are to be counted again; standing where the signs of a mark add up to 1';
