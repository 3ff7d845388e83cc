-- backfills_mv: notes what a backfill could not take where all such things are noted.
CREATE MATERIALIZED VIEW IF NOT EXISTS backfills_mv TO ingest_rejects AS
SELECT
    done_at AS time,
    reason,
    concat('rows of otel_traces from before fanlight, from ', toString(fromUnixTimestamp64Nano(done_from_ns, 'UTC'))) AS detail,
    rejected AS count,
    'backfill' AS source
FROM backfills
ARRAY JOIN mapKeys(rejects) AS reason, mapValues(rejects) AS rejected;
