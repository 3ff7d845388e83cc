-- engine_windows_since: engine_windows of samples from `since` on. A condition on engine_windows is not seen
-- by the windows below it, so whoever needs the last hours asks this:
-- SELECT ... FROM engine_windows_since(since = now() - INTERVAL 3 HOUR)
CREATE OR REPLACE VIEW engine_windows_since
AS
SELECT
    told.scraped_before AS begins_at,
    told.scraped_at AS ends_at,
    (toUnixTimestamp64Milli(told.scraped_at) - toUnixTimestamp64Milli(told.scraped_before)) / 1000 AS window_s,
    toString(told.target) AS target,
    toString(told.engine) AS engine,
    toString(told.model) AS model,
    toString(told.server_address) AS server_address,
    toString(told.hardware) AS hardware,
    told.gpus AS gpus,
    arrayMap(id -> toString(id), told.gpu_ids) AS gpu_ids,
    toString(told.region) AS region,
    toString(told.workload) AS workload,
    arrayExists((now, before) -> ifNull(now < before, 0), told.counters, told.counters_before) AS restarted,
    told.running AS running,
    told.waiting AS waiting,
    told.kv_cache_share AS kv_cache_share,
    told.done[1] AS input_tokens,
    told.done[2] AS cached_tokens,
    if(isNull(told.done[3]), greatest(0, told.done[1] - told.done[2]), told.done[3]) AS uncached_tokens,
    told.done[4] AS output_tokens,
    told.done[5] AS requests,
    told.done[6] AS prefill_s,
    told.done[7] AS decode_s
FROM
(
    SELECT
        *,
        [input_tokens, cached_tokens, uncached_tokens, output_tokens, requests, prefill_s, decode_s] AS counters,
        lagInFrame(counters) OVER (
            PARTITION BY target, model ORDER BY scraped_at ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        ) AS counters_before,
        lagInFrame(scraped_at) OVER (
            PARTITION BY target, model ORDER BY scraped_at ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        ) AS scraped_before,
        arrayMap((now, before) -> if(now < before, now, now - before), counters, arrayResize(counters_before, 7, NULL)) AS done
    FROM engine_samples FINAL
    WHERE status = 'ok' AND scraped_at >= {since:DateTime('UTC')}
) AS told
WHERE told.window_s > 0 AND notEmpty(told.counters_before)
COMMENT 'What inference engines did between two samples, of samples from a time on';
