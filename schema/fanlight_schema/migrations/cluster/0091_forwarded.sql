-- forwarded: traces that got spans, on their way to the shards of their actions. Nothing is stored.
CREATE TABLE IF NOT EXISTS forwarded
(
    action_id FixedString(16) COMMENT 'Action that the trace has, or once had, spans of',
    trace_id  FixedString(16) COMMENT 'Trace that got spans',
    marks     Array(UUID)     COMMENT 'Marks in arrived, beside the action of the trace''s own id'
)
ENGINE = Null
COMMENT 'Traces that got spans, on their way to the shards of their actions';
