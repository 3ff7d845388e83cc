-- build_folded: one row per model call with its requests, and one per trace with the spans that are part of no call. `head` is the span that
-- speaks for the action, as text that sorts by what makes a span the root; the rest are values with their turn.
CREATE OR REPLACE VIEW build_folded AS
WITH
    toFixedString('', 16) AS none,
    folded AS
    (
        SELECT
            action,
            trace_id,
            class,
            call,
            groupArrayIf(span, part = 'self')[1] AS self,
            groupArrayIf(span, part = 'request') AS sent,
            maxIf(outer_agent, part = 'self') AS calling_agent,
            countIf(part = 'self') > 0 AS has_self,
            countIf(part = 'wrapper') > 0 AS is_wrapper,
            countIf(part = 'gateway') > 0 AS is_gateway,
            countIf(part = 'described') AS described,
            countIf(is_span) AS span_count,
            countIf(is_span AND span.parent_id > 0 AND parent_place = 0) AS orphan_count,
            countIf(is_span AND span.role = 'agent') AS agent_count,
            countIf(is_span AND span.role = 'tool') AS tool_count,
            countIf(is_span AND span.role IN ('agent', 'tool') AND span.is_error) AS failed_steps,
            maxIf(steps, is_span) AS deepest,
            minIf(span.start_ns, is_span) AS first_ns,
            maxIf(span.end_ns, is_span) AS last_ns,
            minIf(
                concat(
                    toString(distance), turn, leftPad(hex(span.end_ns), 16, '0'),
                    arrayStringConcat(
                        arrayMap(
                            value -> replaceAll(value, '\0', ''),
                            [
                                toString(span.action_name), toString(span.action_source), toString(span.origin), toString(span.workload),
                                span.user_id, span.session_id, hex(span.parent_action_id), toString(span.service), toString(span.region)
                            ]
                        ),
                        '\0'
                    )
                ),
                is_span
            ) AS head,
            groupUniqArrayIf(span.user_id, is_span AND span.user_id != '') AS user_ids,
            minIf(concat(turn, span.user_id), is_span AND span.user_id != '') AS first_user,
            minIf(concat(turn, span.session_id), is_span AND span.session_id != '') AS first_session,
            minIf(concat(turn, span.action_name), is_span AND span.action_name != '') AS first_name,
            minIf(concat(turn, span.origin), is_span AND span.origin != '') AS first_origin,
            minIf(concat(turn, span.action_source), is_span AND span.action_source != '') AS first_source,
            minIf(concat(turn, span.workload), is_span AND span.workload != '') AS first_workload,
            minIf(concat(turn, hex(span.parent_action_id)), is_span AND span.parent_action_id != none) AS first_parent,
            countIf(is_span AND span.action_source = 'declared') AS declarations
        FROM build_members
        GROUP BY action, trace_id, class, call
    ),
    shown_calls AS
    (
        SELECT
            *,
            (class = 1 AND has_self AND NOT is_wrapper AND NOT is_gateway) OR class = 2 AS is_call,
            if(class = 2, arraySort(s -> (s.outcome != 'answered', s.start_ns, s.span_id), sent)[1], self) AS shown
        FROM folded
    )
SELECT
    * EXCEPT self,
    is_call AND shown.role = 'usage' AS is_usage,
    if(class = 2, first_ns, shown.start_ns) AS call_start_ns,
    if(class = 2, last_ns, shown.end_ns) AS call_end_ns,
    if(calling_agent != '', calling_agent, toString(shown.agent_name)) AS call_agent,
    toString(if(shown.response_model != '', shown.response_model, shown.request_model)) AS call_model,
    (shown.is_wire, shown.response_id != '', toString(shown.scope)) AS detail
FROM shown_calls
COMMENT 'One row per model call of the open build with its requests, and one per trace with the rest';
