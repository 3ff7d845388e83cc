-- picked_rmv: opens the next build with the marks that stand, at most 20,000 of them, if the last one is complete.
CREATE MATERIALIZED VIEW IF NOT EXISTS picked_rmv REFRESH EVERY 2 SECOND APPEND TO picked AS
WITH
    (SELECT max(build) FROM cascades WHERE started_at < '1970-01-02') AS last_complete,
    (SELECT max(build) FROM picked) AS last_opened
SELECT
    greatest(toUInt64(toUnixTimestamp64Micro(now64(6))), last_complete + 1, last_opened + 1) AS build,
    trace_id,
    mark,
    now() AS picked_at
FROM touched
WHERE last_opened <= last_complete
GROUP BY trace_id, mark
HAVING sum(sign) > 0
ORDER BY trace_id
LIMIT 20000;
