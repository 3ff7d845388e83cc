-- priced_demand: the demand of every action by hour, model, provider, host and region, with its price; what the public
-- views add up. Rates are looked up when asked, so a new rate card re-prices the past.
CREATE OR REPLACE VIEW priced_demand AS
SELECT
    action_id,
    started_at,
    build,
    origin,
    workload,
    action_source,
    user_id,
    hour,
    demand.model AS model,
    provider,
    demand.server_address AS server_address,
    demand_region AS region,
    rates.hardware AS hardware,
    calls,
    requests,
    requests_observed,
    errors,
    input_tokens,
    cached_tokens,
    output_tokens,
    reasoning_tokens,
    calls_without_usage,
    multiIf(empty(work), NULL, work[1] + work[13] = 0, 0, rates.reference_factor * (rates.rate_n * work[1] + rates.rate_u * work[2] + rates.rate_c * work[3] + rates.rate_o * work[4] + rates.rate_a * work[5] + rates.rate_k * work[6])) AS gpu_seconds,
    multiIf(empty(work), NULL, work[1] + work[13] = 0, 0, rates.reference_factor * (rates.rate_n_low * work[7] + rates.rate_u_low * work[8] + rates.rate_c_low * work[9] + rates.rate_o_low * work[10] + rates.rate_a_low * work[11] + rates.rate_k_low * work[12])) AS gpu_seconds_low,
    multiIf(empty(work), NULL, work[1] + work[13] = 0, 0, rates.reference_factor * (rates.rate_n_high * work[13] + rates.rate_u_high * work[14] + rates.rate_c_high * work[15] + rates.rate_o_high * work[16] + rates.rate_a_high * work[17] + rates.rate_k_high * work[18])) AS gpu_seconds_high,
    if(isNull(gpu_seconds), NULL, if(work[1] + work[13] = 0, 'measured', rates.gpu_method)) AS method,
    if(work[1] + work[13] = 0, 0, rates.gpu_method_rank) AS method_rank,
    if(isNull(gpu_seconds), 0, cache_unknown) AS priced_cache_unknown,
    unmeasured + if(isNull(gpu_seconds) AND notEmpty(work), toUInt64(work[1]), 0) AS requests_unpriced
FROM
(
    SELECT
        action_id, started_at, build, origin, workload, action_source, user_id,
        hour, model, provider, server_address, demand_region, calls, requests, requests_observed, errors,
        input_tokens, cached_tokens, output_tokens, reasoning_tokens, calls_without_usage, work, cache_unknown, unmeasured
    FROM cascades FINAL
    ARRAY JOIN
        `demand.hour` AS hour, `demand.model` AS model, `demand.provider` AS provider,
        `demand.server_address` AS server_address, `demand.region` AS demand_region, `demand.calls` AS calls,
        `demand.requests` AS requests, `demand.requests_observed` AS requests_observed, `demand.errors` AS errors,
        `demand.input_tokens` AS input_tokens, `demand.cached_tokens` AS cached_tokens,
        `demand.output_tokens` AS output_tokens, `demand.reasoning_tokens` AS reasoning_tokens,
        `demand.calls_without_usage` AS calls_without_usage, `demand.work` AS work,
        `demand.cache_unknown` AS cache_unknown, `demand.unmeasured` AS unmeasured
    WHERE started_at >= '1970-02-01'
) AS demand
ASOF LEFT JOIN gpu_rates AS rates
    ON demand.model = rates.model AND demand.server_address = rates.server_address AND demand.hour >= rates.valid_from
COMMENT 'Demand of each action by hour, model, provider, host and region, in seconds of the reference GPU';
