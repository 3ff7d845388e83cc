-- demand_hours_mv: follows cascades. A row of an action becomes one per hour of its requests; deleted rows and those of January
-- 1970 are passed on.
CREATE MATERIALIZED VIEW IF NOT EXISTS demand_hours_mv TO demand_hours AS
SELECT
    arrayJoin(if(
        is_deleted = 1 OR started_at < '1970-02-01',
        [toStartOfHour(toDateTime(started_at, 'UTC'))],
        arrayDistinct(`demand.hour`)
    )) AS hour,
    action_id,
    build,
    is_deleted,
    marks,
    started_at,
    action_name,
    origin,
    workload,
    action_source,
    user_id,
    arrayFilter((entry, at) -> at = hour, `demand.model`, `demand.hour`) AS model,
    arrayFilter((entry, at) -> at = hour, `demand.provider`, `demand.hour`) AS provider,
    arrayFilter((entry, at) -> at = hour, `demand.server_address`, `demand.hour`) AS server_address,
    arrayFilter((entry, at) -> at = hour, `demand.region`, `demand.hour`) AS region,
    arrayFilter((entry, at) -> at = hour, `demand.calls`, `demand.hour`) AS calls,
    arrayFilter((entry, at) -> at = hour, `demand.requests`, `demand.hour`) AS requests,
    arrayFilter((entry, at) -> at = hour, `demand.requests_observed`, `demand.hour`) AS requests_observed,
    arrayFilter((entry, at) -> at = hour, `demand.errors`, `demand.hour`) AS errors,
    arrayFilter((entry, at) -> at = hour, `demand.input_tokens`, `demand.hour`) AS input_tokens,
    arrayFilter((entry, at) -> at = hour, `demand.cached_tokens`, `demand.hour`) AS cached_tokens,
    arrayFilter((entry, at) -> at = hour, `demand.output_tokens`, `demand.hour`) AS output_tokens,
    arrayFilter((entry, at) -> at = hour, `demand.reasoning_tokens`, `demand.hour`) AS reasoning_tokens,
    arrayFilter((entry, at) -> at = hour, `demand.calls_without_usage`, `demand.hour`) AS calls_without_usage,
    arrayFilter((entry, at) -> at = hour, `demand.work`, `demand.hour`) AS work,
    arrayFilter((entry, at) -> at = hour, `demand.cache_unknown`, `demand.hour`) AS cache_unknown,
    arrayFilter((entry, at) -> at = hour, `demand.unmeasured`, `demand.hour`) AS unmeasured
FROM cascades;
