-- schema_seeds: which of the tables that fanlight fills itself (rate cards, placements) hold which contents, so that
-- a newer catalogue is written once and an unchanged one never.
--
-- The sort key answers: what was written under this name last?
CREATE TABLE IF NOT EXISTS schema_seeds
(
    name       LowCardinality(String) COMMENT 'What was written, for example gpu_catalogue',
    checksum   String                 COMMENT 'SHA-256 of the rows, 64 hexadecimal digits',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it was written, UTC; the latest counts'
)
ENGINE = MergeTree
ORDER BY (name, applied_at)
COMMENT 'Contents that fanlight has written into its own tables, by checksum';
