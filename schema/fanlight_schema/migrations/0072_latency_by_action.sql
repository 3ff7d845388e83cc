-- latency_by_action: how long do actions of each name take, and on what does that time go? In it are all actions of
-- cascade_shapes, by the day of their start. Percentiles are nearest rank. The four shares add up to 1. Beside them stands
-- the time to the first chunk of the streamed calls of all actions of the day and name.
CREATE OR REPLACE VIEW latency_by_action
(
    day            Date              COMMENT 'Day in which the actions began, UTC',
    action_name    String            COMMENT 'Name of the action, empty if unknown',
    origin         String            COMMENT 'Who asked: user, schedule, agent, system',
    workload       String            COMMENT 'serving, rl_rollout, eval, batch, training',
    action_source  String            COMMENT 'declared, automatic or inferred',
    actions        UInt64            COMMENT 'Actions',
    duration_p50_s Float64           COMMENT 'Duration of an action, median, seconds',
    duration_p90_s Float64           COMMENT 'Duration of an action, 90th percentile, seconds',
    duration_p99_s Float64           COMMENT 'Duration of an action, 99th percentile, seconds',
    duration_s     Float64           COMMENT 'Duration of all these actions, seconds',
    model_share    Nullable(Float64) COMMENT 'Share of that on the critical path in requests to models, 0 to 1; NULL where the duration is 0',
    tool_share     Nullable(Float64) COMMENT 'The same, in tools themselves',
    waiting_share  Nullable(Float64) COMMENT 'The same, between the requests of a call that was sent again (back-off)',
    agent_share    Nullable(Float64) COMMENT 'The same, the rest: agents and the app''s own code',
    streamed_calls UInt64            COMMENT 'Model calls whose time to the first chunk is known',
    ttft_p50_s     Nullable(Float64) COMMENT 'Time to the first chunk of a call, median, seconds; NULL if unknown for all',
    ttft_p90_s     Nullable(Float64) COMMENT 'Time to the first chunk of a call, 90th percentile, seconds; NULL if unknown for all',
    ttft_p99_s     Nullable(Float64) COMMENT 'Time to the first chunk of a call, 99th percentile, seconds; NULL if unknown for all'
)
AS
SELECT
    shape.day AS day,
    toString(shape.action_name) AS action_name,
    toString(shape.origin) AS origin,
    toString(shape.workload) AS workload,
    toString(shape.action_source) AS action_source,
    shape.actions AS actions,
    shape.durations[1] / 1e9 AS duration_p50_s,
    shape.durations[2] / 1e9 AS duration_p90_s,
    shape.durations[3] / 1e9 AS duration_p99_s,
    shape.in_all / 1e9 AS duration_s,
    if(shape.in_all = 0, NULL, shape.model / shape.in_all) AS model_share,
    if(shape.in_all = 0, NULL, shape.tool / shape.in_all) AS tool_share,
    if(shape.in_all = 0, NULL, shape.waiting / shape.in_all) AS waiting_share,
    if(shape.in_all = 0, NULL, (shape.in_all - shape.model - shape.tool - shape.waiting) / shape.in_all) AS agent_share,
    call.streamed AS streamed_calls,
    if(call.streamed = 0, NULL, call.ttfts[1]) AS ttft_p50_s,
    if(call.streamed = 0, NULL, call.ttfts[2]) AS ttft_p90_s,
    if(call.streamed = 0, NULL, call.ttfts[3]) AS ttft_p99_s
FROM
(
    SELECT
        toDate(started_at, 'UTC') AS day, action_name, origin, workload, action_source,
        count() AS actions,
        quantilesExactWeighted(0.5, 0.9, 0.99)(duration_ns, 1) AS durations,
        toFloat64(sum(duration_ns)) AS in_all,
        sum(model_ns) AS model,
        sum(tool_ns) AS tool,
        sum(waiting_ns) AS waiting
    FROM shapes FINAL
    WHERE started_at >= '1970-02-01'
    GROUP BY day, action_name, origin, workload, action_source
) AS shape
LEFT JOIN
(
    SELECT
        toDate(started_at, 'UTC') AS day, action_name, origin, workload, action_source,
        count(ttft) AS streamed,
        quantilesExactWeighted(0.5, 0.9, 0.99)(assumeNotNull(ttft), toUInt8(isNotNull(ttft))) AS ttfts
    FROM cascades FINAL
    ARRAY JOIN `calls.ttft_s` AS ttft
    WHERE started_at >= '1970-02-01'
    GROUP BY day, action_name, origin, workload, action_source
) AS call USING (day, action_name, origin, workload, action_source)
COMMENT 'Duration of actions by day and name, what it went on, and the time to the first chunk';
