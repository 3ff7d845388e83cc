-- picked_rmv: opens the next build, if the last one is complete, with marks that stand.
--
-- A build takes traces of about 60,000 spans, so that it is done before the next one is due (1.5 s of CPU) and needs a
-- few hundred MB, however much is waiting. What has to wait is chosen anew each time, so nothing waits for long.
CREATE MATERIALIZED VIEW IF NOT EXISTS picked_rmv REFRESH EVERY 2 SECOND APPEND TO picked AS
WITH
    (SELECT max(build) FROM cascades WHERE started_at < '1970-01-02') AS last_complete,
    (SELECT max(build) FROM picked) AS last_opened,
    standing AS
    (
        SELECT trace_id, mark
        FROM touched
        WHERE last_opened <= last_complete
        GROUP BY trace_id, mark
        HAVING sum(sign) > 0
    ),
    waiting AS
    (
        SELECT trace_id, max(size) AS size, groupArrayIf(mark, is_mark) AS marks
        FROM
        (
            SELECT trace_id, mark, true AS is_mark, 0 AS size
            FROM standing
            UNION ALL
            SELECT trace_id, toUUID('00000000-0000-0000-0000-000000000000'), false, sum(arrivals)
            FROM trace_index
            WHERE trace_id IN (SELECT trace_id FROM standing)
            GROUP BY trace_id
        )
        GROUP BY trace_id
    ),
    in_line AS
    (
        SELECT
            trace_id,
            marks,
            sum(size) OVER (
                ORDER BY cityHash64(trace_id, last_opened) ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) - size AS spans_before
        FROM waiting
    )
SELECT
    greatest(toUInt64(toUnixTimestamp64Micro(now64(6))), last_complete + 1, last_opened + 1) AS build,
    trace_id,
    arrayJoin(marks) AS mark,
    now() AS picked_at
FROM in_line
WHERE spans_before < 60000;
