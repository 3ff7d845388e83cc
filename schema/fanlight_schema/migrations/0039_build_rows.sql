-- build_rows: the rows of cascades that the open build writes.
--
--   rolled     one row per action and (hour, model, provider, host, region)
--   counted    one row per action
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
                    shown.cache_write_tokens, output, reasoning, toString(shown.usage_source), work, cache_unknown, unmeasured, call_agent
                ),
                counts
            ) AS call_rows,
            sumForEach(work) AS key_work,
            sum(input) AS key_input,
            sum(cached) AS key_cached,
            sum(output) AS key_output,
            sum(reasoning) AS key_reasoning,
            count() AS key_calls,
            sum(request_count) AS key_requests,
            sumIf(request_count, is_observed) AS key_observed,
            countIf(shown.is_error) AS key_errors,
            countIf(isNull(input)) AS key_without_usage,
            sum(cache_unknown) AS key_cache_unknown,
            sum(unmeasured) AS key_unmeasured,
            sum(described) + countIf(is_duplicate) AS key_duplicates,
            countIf(is_wrapper AND NOT is_gateway) AS key_wrappers,
            countIf(is_gateway) AS key_gateways,
            sum(span_count) AS key_spans,
            sum(orphan_count) AS key_orphans,
            sum(agent_count) AS key_agents,
            sum(tool_count) AS key_tools,
            sum(failed_steps) AS key_failed_steps,
            max(deepest) AS key_depth,
            minIf(first_ns, span_count > 0) AS key_first_ns,
            maxIf(last_ns, span_count > 0) AS key_last_ns,
            minIf(head, head != '') AS key_head,
            groupUniqArrayArray(user_ids) AS key_users,
            groupUniqArray(trace_id) AS key_traces,
            minIf(first_user, first_user != '') AS key_user,
            minIf(first_session, first_session != '') AS key_session,
            minIf(first_name, first_name != '') AS key_name,
            minIf(first_origin, first_origin != '') AS key_origin,
            minIf(first_source, first_source != '') AS key_source,
            minIf(first_workload, first_workload != '') AS key_workload,
            minIf(first_parent, first_parent != '') AS key_parent,
            sum(declarations) AS key_declarations
        FROM build_calls
        GROUP BY action, counts, key_hour, key_model, key_provider, key_server, key_region
    ),
    counted AS
    (
        SELECT
            action,
            minIf(key_head, key_head != '') AS root,
            substring(root, 1, 1) < '2' AS root_arrived,
            reinterpretAsInt64(reverse(unhex(substring(root, 2, 16)))) AS root_start_ns,
            reinterpretAsInt64(reverse(unhex(substring(root, 66, 16)))) AS root_end_ns,
            splitByChar('\0', substring(root, 82)) AS root_says,
            min(key_first_ns) AS starts_ns,
            max(key_last_ns) AS ends_ns,
            substring(minIf(key_user, key_user != ''), 65) AS any_user,
            substring(minIf(key_session, key_session != ''), 65) AS any_session,
            substring(minIf(key_name, key_name != ''), 65) AS any_name,
            substring(minIf(key_origin, key_origin != ''), 65) AS any_origin,
            substring(minIf(key_source, key_source != ''), 65) AS any_source,
            substring(minIf(key_workload, key_workload != ''), 65) AS any_workload,
            substring(minIf(key_parent, key_parent != ''), 65) AS any_parent,
            length(groupUniqArrayArray(key_users)) AS user_count,
            length(groupUniqArrayArray(key_traces)) AS trace_count,
            sum(key_spans) AS all_spans,
            sum(key_orphans) AS all_orphans,
            sum(key_agents) AS all_agents,
            sum(key_tools) AS all_tools,
            sum(key_failed_steps) AS all_failed_steps,
            max(key_depth) AS all_depth,
            sum(key_wrappers) AS all_wrappers,
            sum(key_gateways) AS all_gateways,
            sum(key_duplicates) AS all_duplicates,
            arraySort(c -> (c.4, c.2, c.1), groupArrayArray(call_rows)) AS rows_of_calls,
            arraySort(groupArrayIf(
                (
                    key_hour, key_model, key_provider, key_server, key_region, key_calls, key_requests, key_observed, key_errors,
                    key_input, key_cached, key_output, key_reasoning, key_without_usage, key_work, key_cache_unknown, key_unmeasured
                ),
                counts
            )) AS rows_of_demand,
            sum(key_declarations) > 0 OR all_agents + all_tools > 0 OR notEmpty(rows_of_calls) AS is_action
        FROM rolled
        GROUP BY action
        HAVING is_action
    ),
    written AS
    (
        SELECT action_id, toDateTime(0, 'UTC') AS hour, 'row' AS kind, [] AS marks
        FROM build_actions
        UNION ALL
        SELECT DISTINCT action_traces.action_id, trace_index.hour, 'deleted', []
        FROM (SELECT * FROM action_traces WHERE action_id IN (SELECT action_id FROM build_actions)) AS action_traces
        INNER JOIN (SELECT * FROM trace_index WHERE (hour, trace_id) IN (SELECT hour, trace_id FROM build_places)) AS trace_index
            ON action_traces.trace_id = trace_index.trace_id
        UNION ALL
        SELECT none, toDateTime(0, 'UTC'), 'complete', groupArray((trace_id, mark))
        FROM picked
        WHERE build > last_complete
        HAVING count() > 0
    )
SELECT
    written.action_id AS action_id,
    if(
        written.kind = 'row',
        fromUnixTimestamp64Nano(if(root_arrived, root_start_ns, starts_ns), 'UTC'),
        toDateTime64(written.hour, 9, 'UTC')
    ) AS started_at,
    open_build + (written.kind != 'deleted') AS build,
    written.kind = 'deleted' AS is_deleted,
    written.marks AS marks,
    if(root_says[1] != '', root_says[1], any_name) AS action_name,
    multiIf(root_says[2] != '', root_says[2], any_source != '', any_source, 'inferred') AS action_source,
    multiIf(root_says[3] != '', root_says[3], any_origin != '', any_origin, 'user') AS origin,
    multiIf(root_says[4] != '', root_says[4], any_workload != '', any_workload, 'serving') AS workload,
    if(root_says[5] != '', root_says[5], any_user) AS user_id,
    if(root_says[6] != '', root_says[6], any_session) AS session_id,
    toFixedString(unhex(if(root_says[7] != hex(none), root_says[7], any_parent)), 16) AS parent_action_id,
    root_says[8] AS service,
    root_says[9] AS region,
    root_arrived AS has_root,
    toUInt64(if(root_arrived AND root_end_ns > root_start_ns, root_end_ns - root_start_ns, ends_ns - starts_ns)) AS duration_ns,
    fromUnixTimestamp64Nano(ends_ns, 'UTC') AS last_end_at,
    user_count AS users,
    trace_count AS traces,
    all_spans AS spans,
    all_orphans AS orphans,
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
    rows_of_calls.30 AS `calls.work`,
    rows_of_calls.31 AS `calls.cache_unknown`,
    rows_of_calls.32 AS `calls.unmeasured`,
    rows_of_calls.33 AS `calls.agent_name`,
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
