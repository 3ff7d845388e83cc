-- action_traces: which traces an action has spans in. Every trace is listed under its own id as well, because spans
-- that name no action belong to the action of that id.
--
-- The sort key answers: in which traces are the spans of this action?
CREATE TABLE IF NOT EXISTS action_traces
(
    action_id FixedString(16) COMMENT 'Action id, 16 bytes' CODEC(ZSTD(1)),
    trace_id  FixedString(16) COMMENT 'Trace id, 16 bytes' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (action_id, trace_id)
SETTINGS index_granularity = 1024
COMMENT 'Traces that may hold spans of an action; a pair that comes again is the same row';
