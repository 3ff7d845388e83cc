-- build_folded: one row per model call with its requests, and one per trace with the spans that are part of no call.
-- `facts` is what the action needs to know of each span.
CREATE OR REPLACE VIEW build_folded AS
WITH
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
            maxIf(steps, part IN ('self', 'request')) AS call_hop,
            arraySort(groupArrayIf((span.start_ns, span.server_times), part = 'engine' AND notEmpty(span.server_times))) AS engines,
            countIf(part = 'self') > 0 AS has_self,
            countIf(part = 'wrapper') > 0 AS is_wrapper,
            countIf(part = 'gateway') > 0 AS is_gateway,
            countIf(part = 'described') AS described,
            groupArrayIf(
                (
                    span.start_ns, trace_id, span.span_id, distance, span.end_ns, toString(span.role), span.is_error, steps,
                    span.parent_id > 0 AND parent_place = 0,
                    toString(span.action_name), toString(span.action_source), toString(span.origin), toString(span.workload),
                    span.user_id, span.session_id, span.parent_action_id, toString(span.service), toString(span.region), toString(span.environment),
                    if(distance = 0 OR parent_place = 0, toString(span.name), ''),
                    NOT bitTest(span.version, 63) AND span.error_type != 'process_died', is_skewed, span.dropped_spans
                ),
                is_span
            ) AS facts
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
    * EXCEPT (self, engines),
    if(empty(shown.server_times) AND notEmpty(engines), engines[-1].2, shown.server_times) AS call_server_times,
    is_call AND shown.role = 'usage' AS is_usage,
    if(class = 2, arrayMin(sent.start_ns), shown.start_ns) AS call_start_ns,
    if(class = 2, arrayMax(sent.end_ns), shown.end_ns) AS call_end_ns,
    if(calling_agent != '', calling_agent, toString(shown.agent_name)) AS call_agent,
    toString(if(shown.response_model != '', shown.response_model, shown.request_model)) AS call_model,
    (shown.is_wire, shown.response_id != '', toString(shown.scope)) AS detail
FROM shown_calls
COMMENT 'One row per model call of the open build with its requests, and one per trace with the rest';
