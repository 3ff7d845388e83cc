-- picked: the marks that one build works on. A build is opened only when the one before it is complete, so what it
-- works on does not change while it runs, and a build that was cut off is done again with the same marks.
--
-- The sort key answers: which marks has this build? Old builds are dropped by the ten minutes; losing an open one
-- does no harm, because its marks still stand in touched.
CREATE TABLE IF NOT EXISTS picked
(
    build     UInt64          COMMENT 'Build that works on the mark: microseconds since 1970, always growing' CODEC(Delta(8), ZSTD(1)),
    trace_id  FixedString(16) COMMENT 'Trace that got spans',
    mark      UUID            COMMENT 'Mark in touched',
    picked_at DateTime('UTC') COMMENT 'When it was picked, UTC; for dropping only' CODEC(Delta(4), ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY intDiv(toUnixTimestamp(picked_at), 600)
ORDER BY (build, trace_id)
TTL picked_at + INTERVAL 1 HOUR
SETTINGS ttl_only_drop_parts = 1, merge_with_ttl_timeout = 600
COMMENT 'Marks of touched by the build that works on them';
