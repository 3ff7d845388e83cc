-- gpu_demand_hourly: how many GPU-seconds were demanded in each hour, by model, hardware, region and workload? The hour is
-- that of each request, not of its action; a call and its tokens stand in the hour of its last request.
CREATE OR REPLACE VIEW gpu_demand_hourly
(
    hour                      DateTime('UTC')   COMMENT 'Hour in which the requests began, UTC',
    model                     String            COMMENT 'Model, empty if unknown',
    provider                  String            COMMENT 'Provider, empty if unknown',
    hardware                  String            COMMENT 'GPU that serves the model there, unknown if it is not known',
    region                    String            COMMENT 'Region that the calls were made from, empty if unknown',
    workload                  String            COMMENT 'serving, rl_rollout, eval, batch, training',
    calls                     UInt64            COMMENT 'Model calls whose last request began in the hour',
    requests                  UInt64            COMMENT 'Inference requests',
    input_tokens              Nullable(UInt64)  COMMENT 'Input tokens, cached ones included; NULL if unknown for all',
    cached_tokens             Nullable(UInt64)  COMMENT 'Input tokens read from a cache; NULL if unknown for all',
    output_tokens             Nullable(UInt64)  COMMENT 'Output tokens, reasoning included; NULL if unknown for all',
    calls_without_usage       UInt64            COMMENT 'Model calls whose input tokens are not known and so are in no sum',
    requests_unpriced         UInt64            COMMENT 'Requests that are in no GPU-second figure: tokens, model or hardware unknown',
    share_unpriced            Nullable(Float64) COMMENT 'Their share of the requests, 0 to 1: how much the GPU-seconds do not know; NULL without requests',
    gpu_seconds               Nullable(Float64) COMMENT 'GPU-seconds of demand, in seconds of the reference GPU; NULL if no request is priced',
    gpu_seconds_low           Nullable(Float64) COMMENT 'Low bound of gpu_seconds, same unit; bounds add as fully correlated',
    gpu_seconds_high          Nullable(Float64) COMMENT 'High bound of gpu_seconds, same unit',
    hardware_gpu_seconds      Nullable(Float64) COMMENT 'GPU-seconds of demand, in seconds of hardware; NULL if no request is priced',
    hardware_gpu_seconds_low  Nullable(Float64) COMMENT 'Low bound of hardware_gpu_seconds, same unit',
    hardware_gpu_seconds_high Nullable(Float64) COMMENT 'High bound of hardware_gpu_seconds, same unit',
    gpu_method                String            COMMENT 'Weakest method that takes part; unknown if nothing is priced; +cache_unknown where cache reads were not reported; measured too where no request reached a GPU (refused, or a gateway''s cache hit), the figure then being 0',
    share_measured            Nullable(Float64) COMMENT 'Share of gpu_seconds whose method is measured, 0 to 1; NULL if gpu_seconds is 0 or unknown',
    share_calibrated          Nullable(Float64) COMMENT 'Share of gpu_seconds whose method is calibrated',
    share_modelled            Nullable(Float64) COMMENT 'Share of gpu_seconds whose method is modelled',
    share_price_implied       Nullable(Float64) COMMENT 'Share of gpu_seconds whose method is price_implied',
    reference_gpus            Nullable(Float64) COMMENT 'Share of one reference GPU that the demand keeps busy, 0.013 for 1.3 % of it: gpu_seconds / 3,600 s',
    reference_gpus_low        Nullable(Float64) COMMENT 'Low bound of reference_gpus',
    reference_gpus_high       Nullable(Float64) COMMENT 'High bound of reference_gpus'
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
    requests_unpriced / nullIf(requests, 0) AS share_unpriced,
    sum(demand.gpu_seconds) AS gpu_seconds,
    sum(demand.gpu_seconds_low) AS gpu_seconds_low,
    sum(demand.gpu_seconds_high) AS gpu_seconds_high,
    sum(if(demand.gpu_seconds = 0, 0, demand.gpu_seconds / demand.reference_factor)) AS hardware_gpu_seconds,
    sum(if(demand.gpu_seconds_low = 0, 0, demand.gpu_seconds_low / demand.reference_factor)) AS hardware_gpu_seconds_low,
    sum(if(demand.gpu_seconds_high = 0, 0, demand.gpu_seconds_high / demand.reference_factor)) AS hardware_gpu_seconds_high,
    if(
        isNull(gpu_seconds), 'unknown',
        concat(assumeNotNull(argMax(demand.method, demand.method_rank)), if(sum(demand.priced_cache_unknown) > 0, '+cache_unknown', ''))
    ) AS gpu_method,
    ifNull(sumIf(demand.gpu_seconds, demand.method = 'measured'), 0) / nullIf(gpu_seconds, 0) AS share_measured,
    ifNull(sumIf(demand.gpu_seconds, demand.method = 'calibrated'), 0) / nullIf(gpu_seconds, 0) AS share_calibrated,
    ifNull(sumIf(demand.gpu_seconds, demand.method = 'modelled'), 0) / nullIf(gpu_seconds, 0) AS share_modelled,
    ifNull(sumIf(demand.gpu_seconds, demand.method = 'price_implied'), 0) / nullIf(gpu_seconds, 0) AS share_price_implied,
    gpu_seconds / 3600 AS reference_gpus,
    gpu_seconds_low / 3600 AS reference_gpus_low,
    gpu_seconds_high / 3600 AS reference_gpus_high
FROM priced_demand AS demand
GROUP BY hour, model, provider, hardware, region, workload
COMMENT 'GPU-seconds by hour, model, provider, hardware, region and workload, with bounds, shares of each method and share of a reference GPU';
