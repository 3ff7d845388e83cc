-- cascades_mv: writes the rows of a build when it is started. The row of January 1970 comes last and has a partition of
-- its own, so it is there only when all the others are; if the insert is cut off before, the build is done again.
CREATE MATERIALIZED VIEW IF NOT EXISTS cascades_mv TO cascades AS
SELECT build_rows.*
FROM build_started
CROSS JOIN build_rows
ORDER BY build_rows.started_at < '1970-02-01';
