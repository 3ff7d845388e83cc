-- Computes the shapes that are due, of about 100,000 spans at most at a time, so that memory does not follow the backlog.
-- What has to wait is chosen anew each time, so nothing waits for long. {spans} is cascade_spans.sql.
-- An action whose row in cascades is gone, or counts other spans than there are now, gets no shape: another mark stands
-- for what changed.
INSERT INTO shapes
(
    action_id, started_at, build, is_deleted, marks, action_name, action_source, origin, workload, user_id, spans, orphans,
    depth, width, critical_spans, duration_ns, model_ns, tool_ns, waiting_ns, `hops.hop`, `hops.parents`, `hops.agents`,
    `hops.tools`, `hops.calls`, `hops.requests`
)
WITH RECURSIVE
    (
        SELECT groupArray((action_id, hour, marks))
        FROM
        (
            SELECT
                action_id,
                argMax(hour, build) AS hour,
                groupArray(build) AS marks,
                sum(toUInt64(argMax(spans, build))) OVER (
                    ORDER BY cityHash64(action_id, now()) ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ) AS spans_before
            FROM
            (
                SELECT action_id, build, max(hour) AS hour, max(spans) AS spans
                FROM shape_marks
                GROUP BY action_id, build
                HAVING sum(sign) > 0
            )
            GROUP BY action_id
        )
        WHERE spans_before < 100000
    ) AS due,
{spans},
    shaped AS
    (
        SELECT
            action AS shaped_id,
            count() AS shaped_spans,
            any(action_end_ns - action_start_ns) AS duration_ns,
            sumIf(critical_ns, spent_on = 'model') AS model_ns,
            sumIf(critical_ns, spent_on = 'tool') AS tool_ns,
            sumIf(critical_ns, spent_on = 'waiting') AS waiting_ns,
            countIf(is_critical) AS critical_spans,
            sumMapIf(
                [toUInt32(steps - 1), toUInt32(steps)],
                [toUInt64(role = 'agent'), 0],
                [toUInt64(role = 'tool'), 0],
                [0, toUInt64(1)],
                role IN ('agent', 'tool')
            ) AS of_steps
        FROM cascade_spans
        GROUP BY action
    ),
    counted AS
    (
        SELECT
            action_id AS counted_id,
            started_at AS counted_at,
            build AS counted_build,
            spans AS counted_spans,
            action_name, action_source, origin, workload, user_id, orphans, depth,
            arrayMax(arrayCumSum(arrayMap(
                moment -> moment.2,
                arraySort(arrayConcat(
                    arrayMap(begun -> (toUnixTimestamp64Nano(begun), 1), `calls.started_at`),
                    arrayMap(
                        (begun, took) -> (toUnixTimestamp64Nano(begun) + greatest(toInt64(took), 1), -1),
                        `calls.started_at`, `calls.duration_ns`
                    )
                ))
            ))) AS width,
            arrayReduce(
                'sumMap',
                arrayMap(hop -> [toUInt32(hop)], `calls.hop`),
                arrayMap(hop -> [toUInt64(1)], `calls.hop`),
                arrayMap(requests -> [toUInt64(requests)], `calls.requests`)
            ) AS of_calls
        FROM cascades FINAL
        WHERE (toStartOfHour(started_at), action_id) IN (SELECT arrayJoin(arrayMap(one -> (one.2, one.1), due)))
    ),
    joined AS
    (
        SELECT
            *,
            arrayReduce(
                'sumMap',
                [[toUInt32(0)], of_steps.1, of_calls.1],
                [[toUInt64(1)], of_steps.4, arrayResize([toUInt64(0)], length(of_calls.1), 0)],
                [[toUInt64(0)], of_steps.2, arrayResize([toUInt64(0)], length(of_calls.1), 0)],
                [[toUInt64(0)], of_steps.3, arrayResize([toUInt64(0)], length(of_calls.1), 0)],
                [[toUInt64(0)], arrayResize([toUInt64(0)], length(of_steps.1), 0), of_calls.2],
                [[toUInt64(0)], arrayResize([toUInt64(0)], length(of_steps.1), 0), of_calls.3]
            ) AS by_hop,
            counted_id != due_id OR counted_spans != shaped_spans AS is_gone
        FROM
        (
            SELECT one.1 AS due_id, one.2 AS due_hour, one.3 AS due_marks
            FROM (SELECT arrayJoin(due) AS one)
        ) AS asked
        LEFT JOIN counted ON counted_id = due_id
        LEFT JOIN shaped ON shaped_id = due_id
    )
SELECT
    due_id AS action_id,
    if(is_gone, toDateTime64(due_hour, 9, 'UTC'), counted_at) AS started_at,
    greatest(counted_build, arrayMax(due_marks)) AS build,
    is_gone AS is_deleted,
    due_marks AS marks,
    action_name,
    action_source,
    origin,
    workload,
    user_id,
    counted_spans AS spans,
    orphans,
    depth,
    width,
    critical_spans,
    duration_ns,
    model_ns,
    tool_ns,
    waiting_ns,
    by_hop.1 AS `hops.hop`,
    by_hop.2 AS `hops.parents`,
    by_hop.3 AS `hops.agents`,
    by_hop.4 AS `hops.tools`,
    by_hop.5 AS `hops.calls`,
    by_hop.6 AS `hops.requests`
FROM joined
SETTINGS max_threads = 1
