-- arrived: traces that got spans on this shard and whose actions' shards are to be told. A mark is taken back when they
-- have been. It is written last in the chain of views that starts at otel_traces.
--
-- A mark names the actions of its own spans itself, so whatever else is read beside it, before or after, they are told.
--
-- The sort key answers: is this mark still standing?
CREATE TABLE IF NOT EXISTS arrived
(
    trace_id FixedString(16)        COMMENT 'Trace that got spans',
    mark     UUID                   COMMENT 'Id of this mark; every insert makes new ones',
    actions  Array(FixedString(16)) COMMENT 'Action ids that the spans carry',
    sign     Int8                   COMMENT '1 when set, -1 when taken back'
)
ENGINE = CollapsingMergeTree(sign)
ORDER BY (trace_id, mark)
COMMENT 'Marks of traces of which the shards of their actions do not know yet; standing where the signs add up to 1';
