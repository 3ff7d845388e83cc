-- action_traces_mv: follows trace_index.
CREATE MATERIALIZED VIEW IF NOT EXISTS action_traces_mv TO action_traces AS
SELECT DISTINCT
    arrayJoin(arrayDistinct(arrayPushBack(actions, trace_id))) AS action_id,
    trace_id
FROM trace_index;
