-- build_rows: the rows of cascades that the open build writes.
--
--   rolled     one row per action and (hour of the calls, model, provider, host, region), with what was sent in earlier hours
--   counted    one row per action
--   late_actions  what got spans and is not computed, since part of it is no longer kept
--   written    one row per action; one deleted row for every hour that the action may have stood in, which loses
--              against the row of the same hour; and the row of January 1970 that completes the build
CREATE OR REPLACE VIEW build_rows AS
WITH
    toFixedString('', 16) AS none,
    (SELECT max(build) FROM cascades WHERE started_at < '1970-01-02') AS last_complete,
    (SELECT max(build) FROM picked) AS open_build,
    rolled AS
    (
        SELECT
            action,
            counts,
            if(counts, call_hour, toDateTime(0, 'UTC')) AS key_hour,
            if(counts, call_model, '') AS key_model,
            if(counts, toString(shown.provider), '') AS key_provider,
            if(counts, toString(shown.server_address), '') AS key_server,
            if(counts, toString(shown.region), '') AS key_region,
            groupArrayIf(
                (
                    if(class = 2, call, shown.span_id), trace_id, shown.parent_id, call_start_ns, toUInt64(ended_ns - call_start_ns),
                    toString(shown.operation), toString(shown.provider), call_model, toString(shown.request_model), toString(shown.server_address),
                    toString(shown.region), toString(shown.service), toString(shown.scope), toString(shown.dialect), shown.response_id,
                    shown.is_error, toString(shown.error_type), shown.http_status, shown.is_stream, shown.ttft_s,
                    request_count, is_observed, toUInt32(refused), input, cached,
                    shown.cache_write_tokens, output, reasoning, toString(shown.usage_source), stored_work, cache_unknown, unmeasured, call_agent,
                    toUInt16(least(call_hop, 65535)), call_server_times
                ),
                counts
            ) AS call_rows,
            sumForEach(last_work) AS key_work,
            sum(input) AS key_input,
            sum(cached) AS key_cached,
            sum(output) AS key_output,
            sum(reasoning) AS key_reasoning,
            count() AS key_calls,
            sum(last_requests) AS key_requests,
            sumIf(last_requests, is_observed) AS key_observed,
            countIf(shown.is_error) AS key_errors,
            countIf(isNull(input)) AS key_without_usage,
            sum(last_cache_unknown) AS key_cache_unknown,
            sum(last_unmeasured) AS key_unmeasured,
            groupArrayArray(arrayMap(e -> (e.1, e.2, if(is_observed, e.2, 0), e.3, e.4, e.5), earlier)) AS key_earlier,
            sum(described) + countIf(is_duplicate) AS key_duplicates,
            countIf(is_wrapper AND NOT is_gateway) AS key_wrappers,
            countIf(is_gateway) AS key_gateways,
            groupArrayArray(facts) AS key_facts
        FROM build_calls
        GROUP BY action, counts, key_hour, key_model, key_provider, key_server, key_region
    ),
    counted AS
    (
        SELECT
            action,
            CAST(
                groupArrayArray(key_facts),
                'Array(Tuple(start_ns Int64, trace_id FixedString(16), span_id UInt64, distance UInt8, end_ns Int64, role String,
                    is_error Bool, steps UInt32, is_orphan Bool, action_name String, action_source String, origin String,
                    workload String, user_id String, session_id String, parent_action_id FixedString(16), service String,
                    region String, environment String, name String, is_unended Bool, is_skewed Bool, dropped UInt32))'
            ) AS facts,
            arraySort(s -> (s.start_ns, s.trace_id, s.span_id), facts) AS in_turn,
            arrayMin(in_turn.distance) AS nearest,
            arrayFirst(s -> s.distance = nearest, in_turn) AS root,
            nearest < 2 AS root_arrived,
            arrayMin(in_turn.start_ns) AS starts_ns,
            arrayMax(in_turn.end_ns) AS ends_ns,
            arrayFirst(text -> text != '', arrayPushFront(in_turn.user_id, root.user_id)) AS said_user,
            arrayFirst(text -> text != '', arrayPushFront(in_turn.session_id, root.session_id)) AS said_session,
            arrayFirst(text -> text != '', arrayConcat([root.action_name], in_turn.action_name, [root.name], in_turn.name)) AS said_name,
            arrayFirst(text -> text != '', arrayPushFront(in_turn.origin, root.origin)) AS said_origin,
            arrayFirst(text -> text != '', arrayPushFront(in_turn.action_source, root.action_source)) AS said_source,
            arrayFirst(text -> text != '', arrayPushFront(in_turn.workload, root.workload)) AS said_workload,
            arrayFirst(id -> id != none, arrayPushFront(in_turn.parent_action_id, root.parent_action_id)) AS said_parent,
            arrayUniq(arrayFilter(text -> text != '', in_turn.user_id)) AS user_count,
            arrayUniq(in_turn.trace_id) AS trace_count,
            length(in_turn) AS all_spans,
            countEqual(in_turn.is_orphan, true) AS all_orphans,
            countEqual(in_turn.is_skewed, true) AS all_skewed,
            arrayMax(in_turn.dropped) AS all_dropped,
            countEqual(in_turn.role, 'agent') AS all_agents,
            countEqual(in_turn.role, 'tool') AS all_tools,
            arrayCount((role, is_error) -> is_error AND role IN ('agent', 'tool'), in_turn.role, in_turn.is_error) AS all_failed_steps,
            arrayMax(in_turn.steps) AS all_depth,
            sum(key_wrappers) AS all_wrappers,
            sum(key_gateways) AS all_gateways,
            sum(key_duplicates) AS all_duplicates,
            arraySort(c -> (c.4, c.2, c.1), groupArrayArray(call_rows)) AS rows_of_calls,
            arrayConcat(arraySort(groupArrayIf(
                (
                    key_hour, key_model, key_provider, key_server, key_region, key_calls, key_requests, key_observed, key_errors,
                    key_input, key_cached, key_output, key_reasoning, key_without_usage, key_work, key_cache_unknown, key_unmeasured
                ),
                counts
            )), groupArrayArray(arrayMap(
                e -> (
                    e.1, key_model, key_provider, key_server, key_region, toUInt64(0), e.2, e.3, toUInt64(0), NULL, NULL, NULL, NULL,
                    toUInt64(0), e.4, e.5, e.6
                ),
                key_earlier
            ))) AS rows_of_demand,
            has(in_turn.action_source, 'declared') OR all_agents + all_tools > 0 OR notEmpty(rows_of_calls) AS is_action
        FROM rolled
        GROUP BY action
        HAVING is_action
    ),
    late_actions AS
    (
        SELECT arrayJoin(if(empty(groupUniqArrayArray(actions)), [trace_id], groupUniqArrayArray(actions))) AS action_id
        FROM trace_index
        WHERE trace_id IN (SELECT trace_id FROM picked WHERE build > last_complete)
            AND (SELECT argMax(keep_days, set_at) FROM retention WHERE name = 'spans') > 0
        GROUP BY trace_id
        HAVING max(is_cascade) = 1 AND action_id NOT IN (SELECT action_id FROM build_actions)
            -- on a cluster: AND action_id IN (SELECT action_id FROM action_traces WHERE action_id IN (SELECT arrayJoin(arrayPushBack(actions, trace_id)) FROM trace_index WHERE trace_id IN (SELECT trace_id FROM picked WHERE build > last_complete)))
    ),
    written AS
    (
        SELECT action_id, toDateTime(0, 'UTC') AS hour, 'row' AS kind, [] AS marks, [] AS late
        FROM build_actions
        UNION ALL
        SELECT DISTINCT action_traces.action_id, trace_index.hour, 'deleted', [], []
        FROM (SELECT * FROM action_traces WHERE action_id IN (SELECT action_id FROM build_actions)) AS action_traces
        INNER JOIN (SELECT * FROM trace_index WHERE (hour, trace_id) IN (SELECT hour, trace_id FROM build_places)) AS trace_index
            ON action_traces.trace_id = trace_index.trace_id
        UNION ALL
        SELECT none, toDateTime(0, 'UTC'), 'complete', groupArray((trace_id, mark)), (SELECT groupArray(action_id) FROM late_actions)
        FROM picked
        WHERE build > last_complete
        HAVING count() > 0
    )
SELECT
    written.action_id AS action_id,
    if(
        written.kind = 'row',
        fromUnixTimestamp64Nano(if(root_arrived, root.start_ns, starts_ns), 'UTC'),
        toDateTime64(written.hour, 9, 'UTC')
    ) AS started_at,
    open_build + (written.kind != 'deleted') AS build,
    written.kind = 'deleted' AS is_deleted,
    written.marks AS marks,
    written.late AS late,
    said_name AS action_name,
    if(said_source != '', said_source, 'inferred') AS action_source,
    if(said_origin != '', said_origin, 'user') AS origin,
    if(said_workload != '', said_workload, 'serving') AS workload,
    said_user AS user_id,
    said_session AS session_id,
    said_parent AS parent_action_id,
    root.service AS service,
    root.region AS region,
    root.environment AS environment,
    root_arrived AS has_root,
    NOT root_arrived OR root.is_unended AS is_open,
    toUInt64(if(root_arrived AND root.end_ns > root.start_ns, root.end_ns - root.start_ns, ends_ns - starts_ns)) AS duration_ns,
    fromUnixTimestamp64Nano(ends_ns, 'UTC') AS last_end_at,
    user_count AS users,
    trace_count AS traces,
    all_spans AS spans,
    all_orphans AS orphans,
    all_skewed AS skewed,
    all_dropped AS dropped,
    all_agents AS agent_steps,
    all_tools AS tool_calls,
    all_failed_steps AS step_errors,
    all_depth AS depth,
    all_wrappers AS wrappers,
    all_gateways AS gateways,
    all_duplicates AS duplicates,
    rows_of_calls.1 AS `calls.id`,
    rows_of_calls.2 AS `calls.trace_id`,
    rows_of_calls.3 AS `calls.parent_id`,
    arrayMap(ns -> fromUnixTimestamp64Nano(ns, 'UTC'), rows_of_calls.4) AS `calls.started_at`,
    rows_of_calls.5 AS `calls.duration_ns`,
    rows_of_calls.6 AS `calls.operation`,
    rows_of_calls.7 AS `calls.provider`,
    rows_of_calls.8 AS `calls.model`,
    rows_of_calls.9 AS `calls.request_model`,
    rows_of_calls.10 AS `calls.server_address`,
    rows_of_calls.11 AS `calls.region`,
    rows_of_calls.12 AS `calls.service`,
    rows_of_calls.13 AS `calls.scope`,
    rows_of_calls.14 AS `calls.dialect`,
    rows_of_calls.15 AS `calls.response_id`,
    rows_of_calls.16 AS `calls.is_error`,
    rows_of_calls.17 AS `calls.error_type`,
    rows_of_calls.18 AS `calls.http_status`,
    rows_of_calls.19 AS `calls.is_stream`,
    rows_of_calls.20 AS `calls.ttft_s`,
    rows_of_calls.21 AS `calls.requests`,
    rows_of_calls.22 AS `calls.requests_observed`,
    rows_of_calls.23 AS `calls.requests_refused`,
    rows_of_calls.24 AS `calls.input_tokens`,
    rows_of_calls.25 AS `calls.cached_tokens`,
    rows_of_calls.26 AS `calls.cache_write_tokens`,
    rows_of_calls.27 AS `calls.output_tokens`,
    rows_of_calls.28 AS `calls.reasoning_tokens`,
    rows_of_calls.29 AS `calls.usage_source`,
    rows_of_calls.30 AS `calls.stored_work`,
    rows_of_calls.31 AS `calls.cache_unknown`,
    rows_of_calls.32 AS `calls.unmeasured`,
    rows_of_calls.33 AS `calls.agent_name`,
    rows_of_calls.34 AS `calls.hop`,
    arrayMap(times -> if(empty(times) OR isNaN(times[1]), NULL, times[1]), rows_of_calls.35) AS `calls.server_queue_s`,
    arrayMap(times -> if(empty(times) OR isNaN(times[2]), NULL, times[2]), rows_of_calls.35) AS `calls.server_prefill_s`,
    arrayMap(times -> if(empty(times) OR isNaN(times[3]), NULL, times[3]), rows_of_calls.35) AS `calls.server_decode_s`,
    rows_of_demand.1 AS `demand.hour`,
    rows_of_demand.2 AS `demand.model`,
    rows_of_demand.3 AS `demand.provider`,
    rows_of_demand.4 AS `demand.server_address`,
    rows_of_demand.5 AS `demand.region`,
    rows_of_demand.6 AS `demand.calls`,
    rows_of_demand.7 AS `demand.requests`,
    rows_of_demand.8 AS `demand.requests_observed`,
    rows_of_demand.9 AS `demand.errors`,
    rows_of_demand.10 AS `demand.input_tokens`,
    rows_of_demand.11 AS `demand.cached_tokens`,
    rows_of_demand.12 AS `demand.output_tokens`,
    rows_of_demand.13 AS `demand.reasoning_tokens`,
    rows_of_demand.14 AS `demand.calls_without_usage`,
    rows_of_demand.15 AS `demand.work`,
    rows_of_demand.16 AS `demand.cache_unknown`,
    rows_of_demand.17 AS `demand.unmeasured`
FROM counted
RIGHT JOIN written ON counted.action = written.action_id AND written.kind = 'row'
WHERE written.kind != 'row' OR counted.action != none
COMMENT 'Rows of cascades that the open build writes';
