-- gpu_windows_since: gpu_windows of samples from `since` on. A condition on gpu_windows is not seen
-- by the windows below it, so whoever needs the last hours asks this:
-- SELECT ... FROM gpu_windows_since(since = now() - INTERVAL 3 HOUR)
CREATE OR REPLACE VIEW gpu_windows_since
AS
SELECT
    greatest(told.ends_before, told.scraped_at - toIntervalMillisecond(round(told.window_s * 1000))) AS begins_at,
    told.scraped_at AS ends_at,
    toString(told.target) AS target,
    told.id AS gpu,
    toString(told.pod) AS pod,
    toString(told.hardware) AS hardware,
    toString(told.model) AS model,
    toString(told.region) AS region,
    toString(told.workload) AS workload,
    told.gpu_share AS gpu_share,
    told.busy_share AS busy_share,
    told.power_w AS power_w
FROM
(
    SELECT
        *,
        if(match(gpu, '^(GPU|MIG)-'), toString(gpu), concat(target, ' ', host, ' ', gpu)) AS id,
        lagInFrame(scraped_at) OVER (
            PARTITION BY id ORDER BY scraped_at ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        ) AS ends_before
    FROM gpu_samples FINAL
    WHERE window_s > 0 AND scraped_at >= {since:DateTime('UTC')}
) AS told
WHERE begins_at < told.scraped_at
COMMENT 'The time that each sample of a GPU stands for, of samples from a time on';
