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
        multiIf(empty(work), NULL, is_idle, 0, rates.reference_factor * arrayDotProduct(arrayResize(rates.rates, 6), arraySlice(arrayResize(work, 18), 1, 6))) AS gpu_seconds,
        multiIf(empty(work), NULL, is_idle, 0, rates.reference_factor * arrayDotProduct(arrayResize(rates.rates_low, 6), arraySlice(arrayResize(work, 18), 7, 6))) AS gpu_seconds_low,
        multiIf(empty(work), NULL, is_idle, 0, rates.reference_factor * arrayDotProduct(arrayResize(rates.rates_high, 6), arraySlice(arrayResize(work, 18), 13, 6))) AS gpu_seconds_high
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
    ASOF LEFT JOIN
    (
        SELECT model, server_address, valid_from, hardware, gpu_method, gpu_method_rank, reference_factor, rates, rates_low, rates_high
        FROM gpu_rates FINAL
    ) AS rates
        ON demand.model = rates.model AND demand.server_address = rates.server_address AND demand.hour >= rates.valid_from
)
COMMENT 'Demand of each action by hour, model, provider, host and region, in seconds of the reference GPU';
