-- touched_done_mv: takes back the marks that a completed build has seen. It follows demand_hours, which follows cascades,
-- so a mark goes only when the rows that it asked for are there.
CREATE MATERIALIZED VIEW IF NOT EXISTS touched_done_mv TO touched AS
SELECT
    seen.1 AS trace_id,
    seen.2 AS mark,
    toInt8(-1) AS sign
FROM demand_hours
ARRAY JOIN marks AS seen
WHERE hour < '1970-01-02';
