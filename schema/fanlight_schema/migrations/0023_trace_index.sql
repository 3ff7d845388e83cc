-- trace_index: in which hours a trace has spans, and which actions its spans name, so that a cascade is found
-- without looking at every hour and every span.
--
-- The sort key answers: where are the spans of this trace? Sets and maxima do not change when a span is resent, and
-- nothing is ever taken out, so a place that a span once had is still found when the span moves to another action.
CREATE TABLE IF NOT EXISTS trace_index
(
    trace_id    FixedString(16) COMMENT 'Trace id, 16 bytes' CODEC(ZSTD(1)),
    hour        DateTime('UTC') COMMENT 'Hour in which spans of the trace start, UTC' CODEC(Delta(4), ZSTD(1)),
    is_cascade  SimpleAggregateFunction(max, UInt8) COMMENT '1 if a span here is an action, a step, a model call or a request, or names its action' CODEC(ZSTD(1)),
    actions     SimpleAggregateFunction(groupUniqArrayArray, Array(FixedString(16))) COMMENT 'Action ids that spans of the trace carry' CODEC(ZSTD(1)),
    arrivals    SimpleAggregateFunction(sum, UInt64) COMMENT 'Spans that arrived, a resent one each time: how much work the trace is' CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
ORDER BY (trace_id, hour)
SETTINGS index_granularity = 1024
COMMENT 'Hours and actions of each trace; may hold several rows of a trace and hour, take the union';
