-- priced_demand: the demand of every action by hour, model, provider, host and region, with its price; what the public
-- views add up. Rates are looked up when asked, so a new rate card re-prices the past.
CREATE OR REPLACE VIEW priced_demand AS
SELECT
    action_id, started_at, build, action_name, origin, workload, action_source, user_id,
    hour, model, provider, server_address, region, hardware, reference_factor,
    calls, requests, requests_observed, errors, input_tokens, cached_tokens, output_tokens, reasoning_tokens, calls_without_usage,
    gpu_seconds, gpu_seconds_low, gpu_seconds_high,
    if(isNull(gpu_seconds), NULL, if(is_idle, 'measured', gpu_method)) AS method,
    if(is_idle, 0, gpu_method_rank) AS method_rank,
    if(isNull(gpu_seconds), 0, cache_unknown) AS priced_cache_unknown,
    unmeasured + if(isNull(gpu_seconds) AND notEmpty(work), toUInt64(work[1]), 0) AS requests_unpriced
FROM
(
    SELECT
        demand.*,
        rates.hardware AS hardware,
        rates.reference_factor AS reference_factor,
        rates.gpu_method AS gpu_method,
        rates.gpu_method_rank AS gpu_method_rank,
        work[1] + work[13] = 0 AS is_idle,
        multiIf(empty(work), NULL, is_idle, 0, rates.reference_factor * (rates.rate_n * work[1] + rates.rate_u * work[2] + rates.rate_c * work[3] + rates.rate_o * work[4] + rates.rate_a * work[5] + rates.rate_k * work[6])) AS gpu_seconds,
        multiIf(empty(work), NULL, is_idle, 0, rates.reference_factor * (rates.rate_n_low * work[7] + rates.rate_u_low * work[8] + rates.rate_c_low * work[9] + rates.rate_o_low * work[10] + rates.rate_a_low * work[11] + rates.rate_k_low * work[12])) AS gpu_seconds_low,
        multiIf(empty(work), NULL, is_idle, 0, rates.reference_factor * (rates.rate_n_high * work[13] + rates.rate_u_high * work[14] + rates.rate_c_high * work[15] + rates.rate_o_high * work[16] + rates.rate_a_high * work[17] + rates.rate_k_high * work[18])) AS gpu_seconds_high
    FROM
    (
        SELECT
            action_id, started_at, build, action_name, origin, workload, action_source, user_id, hour,
            model, provider, server_address, region, calls, requests, requests_observed, errors, input_tokens, cached_tokens,
            output_tokens, reasoning_tokens, calls_without_usage, work, cache_unknown, unmeasured
        FROM demand_hours FINAL
        ARRAY JOIN
            model, provider, server_address, region, calls, requests, requests_observed, errors, input_tokens, cached_tokens,
            output_tokens, reasoning_tokens, calls_without_usage, work, cache_unknown, unmeasured
        WHERE hour >= '1970-02-01'
    ) AS demand
    ASOF LEFT JOIN gpu_rates AS rates
        ON demand.model = rates.model AND demand.server_address = rates.server_address AND demand.hour >= rates.valid_from
)
COMMENT 'Demand of each action by hour, model, provider, host and region, in seconds of the reference GPU';
