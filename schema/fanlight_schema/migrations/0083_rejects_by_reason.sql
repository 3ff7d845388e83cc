-- rejects_by_reason: what was not taken as it came, by reason and who rejected it.
CREATE OR REPLACE VIEW rejects_by_reason
(
    reason   String               COMMENT 'Why, as one word',
    source   String               COMMENT 'Who rejected it: otlp, import, spans, backfill, build',
    count    UInt64               COMMENT 'Spans; bodies where no span could be read; for late_action how often spans of it came',
    first_at DateTime64(3, 'UTC') COMMENT 'When it was rejected first, UTC',
    last_at  DateTime64(3, 'UTC') COMMENT 'When it was rejected last, UTC',
    example  String               COMMENT 'What a person needs to find the sender of the last one'
)
AS
SELECT
    toString(rejects.reason) AS reason,
    toString(rejects.source) AS source,
    sum(rejects.count) AS count,
    min(rejects.time) AS first_at,
    max(rejects.time) AS last_at,
    argMax(rejects.detail, rejects.time) AS example
FROM ingest_rejects AS rejects
GROUP BY rejects.reason, rejects.source
COMMENT 'What came in and was not taken as it came, by reason';
