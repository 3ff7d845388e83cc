-- build_members: spans with their action and the part that they have in a call.
--
-- A model call with another one below it is a wrapper, unless its own requests were observed; where a border to
-- another process lies between, it is a gateway's. A foreign tracer's span below an observed call only describes that call again. A request
-- belongs to the nearest call above it; without one it stands for the call of its parent, which has not arrived. An
-- engine's own span adds its times to the nearest call above it.
CREATE OR REPLACE VIEW build_members AS
WITH
    toFixedString('', 16) AS none,
    placed AS
    (
        SELECT
            trace_id,
            first_action,
            span,
            place,
            parent_place,
            path.action AS path_action,
            path.steps AS steps,
            above.1.call AS outer_call,
            above.1.server OR span.is_border AS through_server,
            above.1.observed AND NOT span.is_border AS below_observed,
            above.1.agent AS outer_agent,
            parent_place > 0 AND span.end_ns < above.2 AS is_skewed
        FROM build_paths
        ARRAY JOIN nodes AS span, paths AS path, paths_above AS above, parents AS parent_place, arrayEnumerate(nodes) AS place
    ),
    assigned AS
    (
        SELECT
            *,
            multiIf(path_action != none, path_action, first_action != none, first_action, trace_id) AS action,
            span.role IN ('call', 'usage') AND NOT span.is_wire AND below_observed AS is_described
        FROM placed
    ),
    parted AS
    (
        SELECT
            *,
            arrayJoin(multiIf(
                is_described, [(0, toUInt64(0), 'described')],
                span.role = 'usage', [(1, toUInt64(place), 'self')],
                span.role = 'engine' AND outer_call > 0, [(1, toUInt64(outer_call), 'engine')],
                span.role = 'call' AND outer_call > 0 AND (through_server OR NOT below_observed),
                    [(1, toUInt64(place), 'self'), (1, toUInt64(outer_call), if(through_server, 'gateway', 'wrapper'))],
                span.role = 'call', [(1, toUInt64(place), 'self')],
                span.role = 'request' AND outer_call > 0, [(1, toUInt64(outer_call), 'request')],
                span.role = 'request', [(2, if(span.parent_id > 0, span.parent_id, span.span_id), 'request')],
                [(0, toUInt64(0), 'rest')]
            )) AS member
        FROM assigned
        WHERE action IN (SELECT action_id FROM build_actions)
    )
SELECT
    action,
    trace_id,
    span,
    parent_place,
    steps,
    is_skewed,
    outer_agent,
    member.1 AS class,
    member.2 AS call,
    member.3 AS part,
    member.3 NOT IN ('wrapper', 'gateway') AS is_span,
    multiIf(span.role = 'action', 0, span.parent_id = 0, 1, 2) AS distance
FROM parted
COMMENT 'Spans of the open build with their action and the call that they are part of';
