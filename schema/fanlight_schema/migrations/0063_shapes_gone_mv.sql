-- shapes_gone_mv: deletes the shape of every action that a build counts, in whatever hour it stands, so that no shape
-- outlives the spans that it was computed from.
CREATE MATERIALIZED VIEW IF NOT EXISTS shapes_gone_mv TO shapes AS
SELECT
    action_id,
    started_at,
    build,
    is_deleted
FROM cascades
WHERE started_at >= '1970-02-01' AND is_deleted = 1;
