-- spans_bad_numbers_mv: counts spans whose token or request counts are none (NaN, negative, text). They are in spans, with
-- NULL in those columns.
CREATE MATERIALIZED VIEW IF NOT EXISTS spans_bad_numbers_mv TO ingest_rejects AS
SELECT
    now64(3) AS time,
    'bad_number' AS reason,
    concat('service ', service) AS detail,
    count() AS count,
    'spans' AS source
FROM spans
WHERE bad_numbers > 0
GROUP BY detail;
