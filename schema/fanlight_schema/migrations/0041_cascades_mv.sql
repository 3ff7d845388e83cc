-- cascades_mv: writes the rows of a build when it is started. The row of January 1970 comes last and has a partition of
-- its own, so it is there only when all the others are; if the insert is cut off before, the build is done again.
-- Plan optimisations cost more time than the query that they would speed up (0.45 of 0.8 s of CPU); indexes are used
-- without them.
CREATE MATERIALIZED VIEW IF NOT EXISTS cascades_mv TO cascades AS
SELECT build_rows.*
FROM build_started
CROSS JOIN build_rows
ORDER BY build_rows.started_at < '1970-02-01'
SETTINGS query_plan_enable_optimizations = 0;
