-- forward_rmv: tells the shards of all actions that a trace ever named, and of its own id, that it got spans. An action
-- that a span has moved away from is among them, so it is counted anew as well.
--
-- arrived and trace_index are read at moments of their own. A mark has the actions of its own spans with it; an action
-- that another insert names, and that is not in trace_index yet, is told by the mark of that insert, later, and whoever
-- counts the action then sees the spans of this one too. A trace that is not read from both has to wait.
-- All rows go out as one block, those with marks last, so that no mark is taken back before every shard has confirmed.
-- What was sent and not confirmed is sent again, which makes one build more and changes nothing.
CREATE MATERIALIZED VIEW IF NOT EXISTS forward_rmv REFRESH EVERY 1 SECOND APPEND TO forwarded AS
WITH standing AS
(
    SELECT trace_id, mark, groupUniqArrayArray(actions) AS actions
    FROM arrived
    GROUP BY trace_id, mark
    HAVING sum(sign) > 0
)
SELECT
    arrayJoin(arrayDistinct(arrayConcat(waiting.named, known.named, [waiting.trace_id]))) AS action_id,
    waiting.trace_id AS trace_id,
    if(action_id = waiting.trace_id, waiting.marks, []) AS marks
FROM
(
    SELECT trace_id, groupArray(mark) AS marks, groupUniqArrayArray(actions) AS named
    FROM standing
    GROUP BY trace_id
    LIMIT 50000
) AS waiting
INNER JOIN
(
    SELECT trace_id, groupUniqArrayArray(actions) AS named
    FROM trace_index
    WHERE trace_id IN (SELECT trace_id FROM standing)
    GROUP BY trace_id
) AS known ON waiting.trace_id = known.trace_id
ORDER BY action_id = trace_id
SETTINGS
    distributed_foreground_insert = 1,
    min_insert_block_size_rows = 100000000,
    min_insert_block_size_bytes = 0,
    max_threads = 1;
