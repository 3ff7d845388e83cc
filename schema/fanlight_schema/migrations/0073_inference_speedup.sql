-- inference_speedup: how much faster would actions get if inference got k times faster? An action of duration D with M of
-- it on the critical path in requests to models would take at least D - M (1 - 1/k): that much is saved where the path
-- stays the same, less where another one becomes the longest, so the figures are upper bounds. Any other k follows
-- from model_s and duration_s of cascade_shapes. In it are all actions of cascade_shapes, by the day of their start.
CREATE OR REPLACE VIEW inference_speedup
(
    day           Date              COMMENT 'Day in which the actions began, UTC',
    action_name   String            COMMENT 'Name of the action, empty if unknown',
    origin        String            COMMENT 'Who asked: user, schedule, agent, system',
    workload      String            COMMENT 'serving, rl_rollout, eval, batch, training',
    action_source String            COMMENT 'declared, automatic or inferred',
    k             Float64           COMMENT 'How many times faster inference gets: 1.5, 2, 3, 5, 10, 100',
    actions       UInt64            COMMENT 'Actions',
    duration_s    Float64           COMMENT 'Duration of these actions today, mean, seconds',
    duration_if_s Float64           COMMENT 'Duration with inference k times faster, mean, at least, seconds',
    speedup       Nullable(Float64) COMMENT 'duration_s / duration_if_s: at most so many times faster; NULL where nothing would remain',
    speedup_p50   Nullable(Float64) COMMENT 'The same for single actions, median; NULL where nothing would remain'
)
AS
SELECT
    toDate(shape.started_at, 'UTC') AS day,
    toString(shape.action_name) AS action_name,
    toString(shape.origin) AS origin,
    toString(shape.workload) AS workload,
    toString(shape.action_source) AS action_source,
    toFloat64(shape.times) AS k,
    count() AS actions,
    avg(shape.duration_ns) / 1e9 AS duration_s,
    avg(shape.remaining_ns) / 1e9 AS duration_if_s,
    if(duration_if_s > 0, duration_s / duration_if_s, NULL) AS speedup,
    if(countIf(shape.remaining_ns > 0) = 0, NULL, quantileExactWeighted(0.5)(
        if(shape.remaining_ns > 0, shape.duration_ns / shape.remaining_ns, 1), toUInt8(shape.remaining_ns > 0)
    )) AS speedup_p50
FROM
(
    SELECT
        started_at, action_name, origin, workload, action_source, duration_ns,
        arrayJoin([1.5, 2, 3, 5, 10, 100]) AS times,
        duration_ns - model_ns * (1 - 1 / times) AS remaining_ns
    FROM shapes FINAL
    WHERE started_at >= '1970-02-01'
) AS shape
GROUP BY day, action_name, origin, workload, action_source, k
COMMENT 'How much faster actions would get, at most, if inference got k times faster';
