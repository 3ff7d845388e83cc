-- build_rmv: starts the open build, or does nothing if the last one is complete.
CREATE MATERIALIZED VIEW IF NOT EXISTS build_rmv REFRESH EVERY 2 SECOND DEPENDS ON picked_rmv APPEND TO build_started AS
SELECT build AS opened
FROM picked
WHERE build > (SELECT max(build) FROM cascades WHERE started_at < '1970-01-02')
LIMIT 1;
