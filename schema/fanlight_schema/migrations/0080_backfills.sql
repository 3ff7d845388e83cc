-- backfills: how far the spans that were in otel_traces before fanlight have been written into `spans`, from the newest
-- to the oldest. A row is written when its part is done, so a backfill that was stopped does that part again, which
-- changes nothing, and goes on.
--
-- The sort key answers: how far did this backfill get? What could not be taken is in the same row, so that it is counted
-- with the part or not at all.
CREATE TABLE IF NOT EXISTS backfills
(
    checksum     String                       COMMENT 'SHA-256 of the statement that wrote the spans, 64 hexadecimal digits: another one begins anew',
    run          UInt64                       COMMENT 'Which backfill of that statement, from 1',
    done_from_ns Int64                        COMMENT 'Spans that start from then on are written, nanoseconds since 1970',
    is_complete  Bool                         COMMENT 'Whether that is all',
    spans        UInt64                       COMMENT 'Rows of otel_traces in this part',
    rejects      Map(LowCardinality(String), UInt64) COMMENT 'Rows of this part that were not taken, by reason',
    done_at      DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the part was done, UTC'
)
ENGINE = MergeTree
ORDER BY (checksum, run, done_at)
COMMENT 'Progress of fanlight schema apply --backfill, one row per part';
