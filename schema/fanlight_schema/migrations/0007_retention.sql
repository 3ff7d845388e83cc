-- retention: how many days of a table the operator keeps, so that what arrives later than that is counted in
-- ingest_rejects and no action is computed anew from fewer spans than it was built from. The table's own TTL is set
-- beside it, a day later: `fanlight schema apply --keep spans=400d` does both.
--
-- The sort key answers: how long is this table kept? The latest row counts.
CREATE TABLE IF NOT EXISTS retention
(
    name      LowCardinality(String)                COMMENT 'Name of the table',
    keep_days UInt32                                COMMENT 'Days that are kept, 0 for all',
    set_at    DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When that was set, UTC; the latest counts'
)
ENGINE = MergeTree
ORDER BY (name, set_at)
COMMENT 'How many days of each table are kept, as the operator set it; a table that is not named is kept for good';
