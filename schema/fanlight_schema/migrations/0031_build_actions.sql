-- build_actions: the actions that the open build computes: whatever the spans of its traces name, and the actions of
-- the traces' own ids, which may have lost their spans to others. A trace without any step or call has none.
CREATE OR REPLACE VIEW build_actions AS
WITH
    (SELECT max(build) FROM cascades WHERE started_at < '1970-01-02') AS last_complete
SELECT arrayJoin(arrayPushBack(groupUniqArrayArray(actions), trace_id)) AS action_id
FROM trace_index
WHERE trace_id IN (SELECT trace_id FROM picked WHERE build > last_complete)
GROUP BY trace_id
HAVING max(is_cascade) = 1
COMMENT 'Actions that the open build computes';
