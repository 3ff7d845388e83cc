-- ingest_rejects: what came in and could not be taken as it was, counted with its reason, so that nothing is
-- lost in silence.
--
-- The sort key answers: what was rejected for this reason, and when?
CREATE TABLE IF NOT EXISTS ingest_rejects
(
    time   DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it was rejected, UTC, milliseconds' CODEC(Delta(8), ZSTD(1)),
    reason LowCardinality(String)                COMMENT 'Why, as one word: bad_trace_id, bad_time, too_large, late, late_action, ...' CODEC(ZSTD(1)),
    detail String                                COMMENT 'What a person needs to find the sender; no content of prompts' CODEC(ZSTD(1)),
    count  UInt64                                COMMENT 'Spans; bodies where no span could be read; for late_action how often spans of it came' CODEC(T64, ZSTD(1)),
    source LowCardinality(String)                COMMENT 'Who rejected it: otlp, import, spans, ...' CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (reason, time)
COMMENT 'Input that was not stored, or not as it came, with the reason; one row per batch and reason';
