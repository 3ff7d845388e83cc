-- gpu_demand_hourly: how many GPU-seconds were demanded in each hour, by model, hardware, region and workload? The hour is
-- that of each request, not of its action; a call and its tokens stand in the hour of its last request.
CREATE OR REPLACE VIEW gpu_demand_hourly
(
    hour                 DateTime('UTC')   COMMENT 'Hour in which the requests began, UTC',
    model                String            COMMENT 'Model, empty if unknown',
    provider             String            COMMENT 'Provider, empty if unknown',
    hardware             String            COMMENT 'GPU that serves the model there, unknown if it is not known',
    region               String            COMMENT 'Region that the calls were made from, empty if unknown',
    workload             String            COMMENT 'serving, rl_rollout, eval, batch, training',
    calls                UInt64            COMMENT 'Model calls whose last request began in the hour',
    requests             UInt64            COMMENT 'Inference requests',
    input_tokens         Nullable(UInt64)  COMMENT 'Input tokens, cached ones included; NULL if unknown for all',
    cached_tokens        Nullable(UInt64)  COMMENT 'Input tokens read from a cache; NULL if unknown for all',
    output_tokens        Nullable(UInt64)  COMMENT 'Output tokens, reasoning included; NULL if unknown for all',
    calls_without_usage  UInt64            COMMENT 'Model calls whose input tokens are not known and so are in no sum',
    requests_unpriced    UInt64            COMMENT 'Requests that are in no GPU-second figure: tokens, model or hardware unknown',
    gpu_seconds          Nullable(Float64) COMMENT 'GPU-seconds of demand, in seconds of the reference GPU; NULL if no request is priced',
    gpu_seconds_low      Nullable(Float64) COMMENT 'Low bound of gpu_seconds, same unit; bounds add as fully correlated',
    gpu_seconds_high     Nullable(Float64) COMMENT 'High bound of gpu_seconds, same unit',
    gpu_method           String            COMMENT 'Weakest method that takes part; unknown if nothing is priced; +cache_unknown where cache reads were not reported; measured too where no request reached a GPU (refused, or a gateway''s cache hit), the figure then being 0'
)
AS
SELECT
    demand.hour AS hour,
    toString(demand.model) AS model,
    toString(demand.provider) AS provider,
    coalesce(demand.hardware, 'unknown') AS hardware,
    toString(demand.region) AS region,
    toString(demand.workload) AS workload,
    sum(demand.calls) AS calls,
    sum(demand.requests) AS requests,
    sum(demand.input_tokens) AS input_tokens,
    sum(demand.cached_tokens) AS cached_tokens,
    sum(demand.output_tokens) AS output_tokens,
    sum(demand.calls_without_usage) AS calls_without_usage,
    sum(demand.requests_unpriced) AS requests_unpriced,
    sum(demand.gpu_seconds) AS gpu_seconds,
    sum(demand.gpu_seconds_low) AS gpu_seconds_low,
    sum(demand.gpu_seconds_high) AS gpu_seconds_high,
    if(
        isNull(gpu_seconds), 'unknown',
        concat(assumeNotNull(argMax(demand.method, demand.method_rank)), if(sum(demand.priced_cache_unknown) > 0, '+cache_unknown', ''))
    ) AS gpu_method
FROM priced_demand AS demand
GROUP BY hour, model, provider, hardware, region, workload
COMMENT 'GPU-seconds by hour, model, provider, hardware, region and workload, with bounds and method';
