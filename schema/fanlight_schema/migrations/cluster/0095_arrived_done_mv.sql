-- arrived_done_mv: takes back the marks that were told. It follows the sending side of forwarded, so a mark goes only when
-- all shards have confirmed.
CREATE MATERIALIZED VIEW IF NOT EXISTS arrived_done_mv TO arrived AS
SELECT
    trace_id,
    arrayJoin(marks) AS mark,
    CAST([], 'Array(FixedString(16))') AS actions,
    toInt8(-1) AS sign
FROM forwarded;
