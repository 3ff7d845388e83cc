-- The spans of some actions, each with its place in the tree of its action, the time that it spent itself, and its part
-- in the critical path. {actions} is what selects the ids of the actions, as FixedString(16).
--
-- The tree. A span belongs to the action that build_members says: the one that it names, else that of the nearest span
-- above that names one, else the first that its trace names, else the one of the trace's id. Below its action's root
-- stands whatever has no parent in the action: roots of other traces, and orphans, whose parent has not arrived. Of
-- parents that form a circle the earliest is an orphan.
--
-- The critical path. It is walked backwards from the action's end: at each span, the child that ended last before the
-- point reached, then on from that child's start; where no child ended before, the span itself was at work back to its
-- start. So every moment of the action belongs to one span. This is the definition of CRISP (Zhang et al., USENIX ATC
-- 2022) and of Jaeger's critical path; as there, a child that sticks out of its parent is cut to it. A span beside the
-- root that covers the whole action lies above it, not below, and is set aside. A span without an end has no time.
--
-- Whatever needs the spans above or before is found in log2(their number) doublings of the distance, and in none where
-- nothing has to be found: steps of a recursive CTE that join it with itself.
--
--   linked     for each span the number of its parent, 0 if it has none or it has not arrived
--   circled    the earliest span above each; nothing to do where no parent began after its child
--   climbed    the action, the number of steps and the nearest span with a role; a span that says all three, as
--              fanlight's own do, needs no doubling
--   rooted     the root of each action
--   boxed      what of each span lies inside its parent, and what of that no earlier sibling covers
--   clipped    what lies inside all spans above it; nothing to do where nothing sticks out
--   followed   which sibling the walk goes on to from this one's start, which ended last, whether any overlap
--   chained    the siblings that the walk takes; all of them where none overlap
--   walked     spans that are taken, as all above them are; nothing to do where all are taken
WITH RECURSIVE
    came AS
    (
        SELECT
            trace_id,
            span_id,
            parent_id,
            toUnixTimestamp64Nano(started_at) AS start_ns,
            start_ns + toInt64(duration_ns) AS end_ns,
            toString(role) AS role,
            hop,
            is_wire AND coalesce(requests, 0) > 0 AS is_observed,
            action_id AS named
        FROM spans FINAL
        WHERE (toStartOfHour(started_at), trace_id) IN
        (
            SELECT hour, trace_id
            FROM trace_index
            WHERE trace_id IN
            (
                SELECT trace_id
                FROM action_traces
                WHERE action_id IN ({actions})
            )
        )
        ORDER BY version DESC
        LIMIT 1 BY trace_id, span_id
    ),
    numbered AS
    (
        SELECT *, toUInt32(row_number() OVER (ORDER BY start_ns, trace_id, span_id)) AS id
        FROM came
    ),
    linked AS
    (
        SELECT
            * EXCEPT (key, parent),
            if(parent = id OR key = 0, 0, parent) AS up,
            argMinIf(named, id, named != toFixedString('', 16)) OVER (PARTITION BY trace_id) AS first_named
        FROM
        (
            SELECT *, is_self, key, maxIf(id, is_self) OVER (PARTITION BY trace_id, key) AS parent
            FROM numbered
            ARRAY JOIN [true, false] AS is_self, [span_id, parent_id] AS key
        )
        WHERE NOT is_self
    ),
    circled AS
    (
        SELECT
            id,
            if(max(up > id) OVER (), up, 0) AS jump,
            up AS earliest,
            tuple(trace_id, span_id, parent_id, start_ns, end_ns, role, is_observed, hop, named, first_named, up) AS span,
            0 AS round
        FROM linked
        UNION ALL
        SELECT
            near.id,
            far.jump,
            if(near.jump = 0 OR far.earliest = 0, near.earliest, least(near.earliest, far.earliest)),
            near.span,
            near.round + 1
        FROM (SELECT *, max(jump) OVER () AS open, count() OVER () AS size FROM circled) AS near
        LEFT JOIN circled AS far ON near.jump = far.id
        WHERE near.open > 0 AND near.round < ceil(log2(near.size + 1))
    ),
    cut AS
    (
        SELECT
            id,
            span.1 AS trace_id,
            span.2 AS span_id,
            span.3 AS parent_id,
            span.4 AS start_ns,
            span.5 AS end_ns,
            span.6 AS role,
            span.7 AS is_observed,
            span.8 AS hop,
            span.9 AS named,
            span.10 AS first_named,
            if(earliest = id, 0, span.11) AS up
        FROM (SELECT *, max(round) OVER () AS last_round FROM circled)
        WHERE round = last_round
    ),
    climbed AS
    (
        SELECT
            id,
            if(named != toFixedString('', 16) AND isNotNull(hop) AND role != 'other', 0, up) AS jump,
            named AS action,
            toUInt32(role IN ('agent', 'tool')) + coalesce(hop, 0) AS steps,
            isNotNull(hop) AS is_anchored,
            if(role = 'other', '', role) AS part,
            tuple(trace_id, span_id, parent_id, start_ns, end_ns, role, is_observed, first_named, up) AS span,
            0 AS round
        FROM cut
        UNION ALL
        SELECT
            near.id,
            far.jump,
            if(near.action != toFixedString('', 16), near.action, far.action),
            toUInt32(near.steps + if(near.is_anchored OR near.jump = 0, 0, far.steps)),
            near.is_anchored OR (near.jump != 0 AND far.is_anchored),
            if(near.part != '', near.part, far.part),
            near.span,
            near.round + 1
        FROM (SELECT *, max(jump) OVER () AS open FROM climbed) AS near
        LEFT JOIN climbed AS far ON near.jump = far.id
        WHERE near.open > 0
    ),
    placed AS
    (
        SELECT
            id,
            multiIf(action != toFixedString('', 16), action, span.8 != toFixedString('', 16), span.8, span.1) AS action,
            steps,
            part,
            span.1 AS trace_id,
            span.2 AS span_id,
            span.3 AS parent_id,
            span.4 AS start_ns,
            span.5 AS end_ns,
            span.6 AS role,
            span.7 AS is_observed,
            span.9 AS up,
            multiIf(role = 'action', 0, parent_id = 0, 1, 2) AS distance
        FROM (SELECT *, max(round) OVER () AS last_round FROM climbed)
        WHERE round = last_round
    ),
    related AS
    (
        SELECT
            *,
            is_self,
            anyIf((action, start_ns, end_ns), is_self) OVER (PARTITION BY key) AS parent
        FROM placed
        ARRAY JOIN [true, false] AS is_self, [id, up] AS key
    ),
    rooted AS
    (
        SELECT
            *,
            argMin((id, distance, start_ns, end_ns), (distance, id)) OVER of_action AS nearest,
            min(start_ns) OVER of_action AS first_start_ns,
            max(end_ns) OVER of_action AS last_end_ns
        FROM related
        WHERE NOT is_self AND action IN ({actions})
        WINDOW of_action AS (PARTITION BY action)
    ),
    members AS
    (
        SELECT
            action,
            id,
            trace_id,
            span_id,
            parent_id,
            start_ns,
            if(is_root, action_end_ns, end_ns) AS end_ns,
            role,
            part,
            is_observed,
            steps,
            parent_id != 0 AND up = 0 AS is_orphan,
            nearest.2 < 2 AS has_root,
            has_root AND nearest.1 = id AS is_root,
            if(has_root, nearest.3, first_start_ns) AS action_start_ns,
            multiIf(NOT has_root, last_end_ns, nearest.4 > nearest.3, nearest.4, action_start_ns + last_end_ns - first_start_ns) AS action_end_ns,
            up != 0 AND parent.1 = action AND NOT is_root AS has_parent,
            multiIf(has_parent, up, has_root AND NOT is_root, nearest.1, 0) AS tree_parent,
            has_parent AND NOT (has_root AND up = nearest.1) AS is_deeper,
            if(is_deeper, parent.2, action_start_ns) AS parent_start_ns,
            if(is_deeper, parent.3, action_end_ns) AS parent_end_ns
        FROM rooted
    ),
    boxed AS
    (
        SELECT
            *,
            has_root AND NOT is_root AND NOT has_parent AND start_ns <= action_start_ns AND end_ns >= action_end_ns AS is_aside,
            greatest(start_ns, parent_start_ns) AS box_start_ns,
            if(is_aside, box_start_ns, greatest(box_start_ns, least(end_ns, parent_end_ns))) AS box_end_ns,
            greatest(0, box_end_ns - greatest(box_start_ns, max(box_end_ns) OVER (
                PARTITION BY action, tree_parent ORDER BY box_start_ns, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ))) AS fresh_ns
        FROM members
    ),
    clipped AS
    (
        SELECT
            id,
            if(max(is_aside OR start_ns < box_start_ns OR end_ns > box_end_ns) OVER (), tree_parent, 0) AS jump,
            box_start_ns AS clip_start_ns,
            box_end_ns AS clip_end_ns,
            tuple(
                action, trace_id, span_id, parent_id, start_ns, end_ns, role, part, is_observed, steps, is_orphan, is_root,
                action_start_ns, action_end_ns, tree_parent, fresh_ns
            ) AS span,
            0 AS round
        FROM boxed
        UNION ALL
        SELECT
            near.id,
            far.jump,
            if(near.jump = 0, near.clip_start_ns, greatest(near.clip_start_ns, far.clip_start_ns)),
            if(near.jump = 0, near.clip_end_ns, least(near.clip_end_ns, far.clip_end_ns)),
            near.span,
            near.round + 1
        FROM (SELECT *, max(jump) OVER () AS open FROM clipped) AS near
        LEFT JOIN clipped AS far ON near.jump = far.id
        WHERE near.open > 0
    ),
    followed AS
    (
        SELECT
            id,
            span,
            clip_start_ns,
            clip_end_ns,
            is_timed,
            siblings,
            (maxIf((clip_end_ns, -clip_start_ns, -toInt64(id)), NOT is_start) OVER before).3 AS follower,
            (max((clip_end_ns, -clip_start_ns, -toInt64(id))) OVER (PARTITION BY siblings)).3 AS last,
            countIf(is_start) OVER before - countIf(NOT is_start) OVER before AS under_way,
            is_start
        FROM
        (
            SELECT
                *,
                clip_end_ns > clip_start_ns AS is_timed,
                (span.1, if(is_timed, toUInt64(span.15), 0x100000000 + id)) AS siblings,
                is_start,
                at
            FROM (SELECT *, max(round) OVER () AS last_round FROM clipped)
            ARRAY JOIN [false, true] AS is_start, [clip_end_ns, clip_start_ns] AS at
            WHERE round = last_round
        )
        WINDOW before AS (PARTITION BY siblings ORDER BY at, is_start ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    ),
    chained AS
    (
        SELECT
            id,
            if(max(under_way > 1) OVER (PARTITION BY siblings), toUInt32(-follower), 0) AS jump,
            is_timed AND (last = -toInt64(id) OR NOT max(under_way > 1) OVER (PARTITION BY siblings)) AS is_taken,
            (span, clip_start_ns, clip_end_ns) AS span,
            0 AS round
        FROM followed
        WHERE is_start
        UNION ALL
        SELECT
            near.id,
            far.jump,
            near.is_taken OR reached.jump != 0,
            near.span,
            near.round + 1
        FROM (SELECT *, max(jump) OVER () AS open FROM chained) AS near
        LEFT JOIN chained AS far ON near.jump = far.id
        LEFT JOIN (SELECT DISTINCT jump FROM chained WHERE is_taken AND jump != 0) AS reached ON near.id = reached.jump
        WHERE near.open > 0
    ),
    taken AS
    (
        SELECT id, is_taken, span
        FROM (SELECT *, max(round) OVER () AS last_round FROM chained)
        WHERE round = last_round
    ),
    walked AS
    (
        SELECT
            id,
            if(min(is_taken) OVER (), 0, span.1.15) AS jump,
            is_taken AS is_critical,
            is_taken,
            span,
            0 AS round
        FROM taken
        UNION ALL
        SELECT
            near.id,
            far.jump,
            near.is_critical AND (near.jump = 0 OR far.is_critical),
            near.is_taken,
            near.span,
            near.round + 1
        FROM (SELECT *, max(jump) OVER () AS open FROM walked) AS near
        LEFT JOIN walked AS far ON near.jump = far.id
        WHERE near.open > 0
    ),
    summed AS
    (
        SELECT
            *,
            is_self,
            sumIf(span.1.16, NOT is_self) OVER (PARTITION BY key) AS covered_ns,
            sumIf(span.3 - span.2, is_taken AND NOT is_self) OVER (PARTITION BY key) AS taken_ns,
            maxIf(span.1.7 = 'request', NOT is_self) OVER (PARTITION BY key) AS has_requests,
            maxIf(span.1.7 = 'call', NOT is_self) OVER (PARTITION BY key) AS has_calls
        FROM (SELECT *, max(round) OVER () AS last_round FROM walked)
        ARRAY JOIN [true, false] AS is_self, [id, span.1.15] AS key
        WHERE round = last_round
    ),
    cascade_spans AS
    (
        SELECT
            id,
            span.1.1 AS action,
            span.1.2 AS trace_id,
            span.1.3 AS span_id,
            span.1.4 AS parent_id,
            span.1.5 AS start_ns,
            span.1.6 AS end_ns,
            span.1.7 AS role,
            span.1.10 AS steps,
            span.1.11 AS is_orphan,
            span.1.12 AS is_root,
            span.1.13 AS action_start_ns,
            span.1.14 AS action_end_ns,
            span.1.15 AS tree_parent,
            multiIf(
                role IN ('request', 'engine'), 'model',
                role = 'call' AND has_requests, 'waiting',
                role = 'call' AND has_calls AND NOT span.1.9, 'agent',
                span.1.8 IN ('call', 'request', 'engine', 'usage'), 'model',
                span.1.8 = 'tool', 'tool',
                'agent'
            ) AS spent_on,
            is_critical,
            greatest(0, end_ns - start_ns - toInt64(covered_ns)) AS self_ns,
            if(is_critical, span.3 - span.2 - toInt64(taken_ns), 0) AS critical_ns
        FROM summed
        WHERE is_self
    )
