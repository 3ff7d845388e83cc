-- action_traces_mv: writes on the shard of an action which traces got spans of it; touched_mv follows and marks them there.
CREATE MATERIALIZED VIEW IF NOT EXISTS action_traces_mv TO action_traces AS
SELECT
    action_id,
    trace_id
FROM forwarded;
