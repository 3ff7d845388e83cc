-- placements: which hardware and engine profile serve the calls to a model at a host, where the spans do not say it.
-- The operator's rows (priority below 900) win over the ones that fanlight ships (900 and 1000).
--
-- The sort key answers: which rows are looked at first? The smallest priority whose two patterns match counts.
CREATE TABLE IF NOT EXISTS placements
(
    priority      UInt32                 COMMENT 'The smallest that matches counts; fanlight ships 900 and 1000',
    host_pattern  String                 COMMENT 'RE2 regular expression that is searched in the server address; empty matches all',
    model_pattern String                 COMMENT 'RE2 regular expression that is searched in the model name',
    model         LowCardinality(String) COMMENT 'Model of the catalogue whose rate card holds',
    hardware      LowCardinality(String) COMMENT 'GPU of the catalogue',
    profile       LowCardinality(String) COMMENT 'Engine profile of the rate card',
    batch_low     Float64                COMMENT 'Requests that are decoded at once on a replica, at least; 1 or more',
    batch_high    Float64                COMMENT 'Requests that are decoded at once on a replica, at most',
    source        String                 COMMENT 'Who says so',
    written_at    DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the row was written, UTC; the latest counts'
)
ENGINE = ReplacingMergeTree(written_at)
ORDER BY (priority, host_pattern, model_pattern)
COMMENT 'Which hardware serves which model where; the newest row of a key counts';
