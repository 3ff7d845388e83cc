-- build_named: the actions that the open build computes: whatever the spans of its traces name, and the actions of
-- the traces' own ids, which may have lost their spans to others. A trace without any step or call has none, unless
-- another trace has spans of its action.
-- An action with spans of days that are no longer kept (retention) stays as it was counted: what is left of it is less.
CREATE OR REPLACE VIEW build_named AS
WITH
    (SELECT max(build) FROM cascades WHERE started_at < '1970-01-02') AS last_complete,
    (SELECT if(argMax(keep_days, set_at) = 0, toDateTime(0, 'UTC'), now('UTC') - toIntervalDay(argMax(keep_days, set_at))) FROM retention WHERE name = 'spans') AS kept_from,
    named AS
    (
        SELECT arrayJoin(arrayPushBack(groupUniqArrayArray(actions), trace_id)) AS action_id
        FROM trace_index
        WHERE trace_id IN (SELECT trace_id FROM picked WHERE build > last_complete)
        GROUP BY trace_id
        HAVING max(is_cascade) = 1
            OR trace_id IN (
                SELECT action_id
                FROM action_traces
                WHERE action_id IN (SELECT trace_id FROM picked WHERE build > last_complete) AND trace_id != action_id
            )
    ),
    aged AS
    (
        SELECT trace_id
        FROM trace_index
        WHERE hour < kept_from
            AND trace_id IN (SELECT trace_id FROM action_traces WHERE action_id IN (SELECT action_id FROM named))
    )
SELECT action_id
FROM named
WHERE action_id NOT IN (
    SELECT action_id
    FROM action_traces
    WHERE kept_from > toDateTime(0, 'UTC') -- without a limit nothing more is read
        AND action_id IN (SELECT action_id FROM named)
        AND trace_id IN (SELECT trace_id FROM aged)
)
-- on a cluster: AND action_id IN (SELECT action_id FROM action_traces WHERE action_id IN (SELECT action_id FROM named))
COMMENT 'Actions that the open build computes, found anew each time';
