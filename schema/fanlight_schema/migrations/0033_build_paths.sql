-- build_paths: one row per trace, with what lies above each of its spans.
--
--   states    one row per trace, each span in the state that counts; a span whose states have starts in two hours is
--             two rows of the table
--   traces    the same, spans by start
--   linked    for each span the position of its parent, 0 if it has none or it has not arrived
--   circled   the earliest span above each, in log2(spans) doublings of the distance; none where no parent comes after
--             its child, so there is no circle
--   cut       of parents that form a circle the earliest has none
--   started   for each span how far it sees: itself
--   walked    the same for all spans above it, in log2(spans) doublings of the distance: the nearest action id, the
--             nearest model call, whether a border (a server span, or one whose parent is another process's) lies before
--             that call, whether any call of this process above was observed at the wire, the nearest agent's name, and
--             the steps so far
--   resolved  and the same seen from its parent, with the parent's start
CREATE OR REPLACE VIEW build_paths AS
WITH
    toFixedString('', 16) AS none,
    states AS
    (
        SELECT
            trace_id,
            groupArray(CAST(
                (
                    span_id, parent_id, toUnixTimestamp64Nano(started_at),
                    toUnixTimestamp64Nano(started_at) + toInt64(duration_ns), toString(role), kind = 'Server' OR is_remote, is_error,
                    service, region, environment, scope, dialect, operation, agent_name, action_id, parent_action_id, action_name, origin,
                    action_source, workload, user_id, session_id, hop, provider, request_model, response_model,
                    response_id, server_address, input_tokens, cached_tokens, cache_write_tokens, output_tokens,
                    reasoning_tokens, max_tokens, choices, inputs, is_stream, ttft_s, http_status, error_type, is_wire,
                    requests, outcome, usage_source, is_gateway_hit, record_duration_ns, version, name, dropped_spans,
                    if(
                        isNull(server_queue_s) AND isNull(server_prefill_s) AND isNull(server_decode_s), [],
                        [coalesce(server_queue_s, nan), coalesce(server_prefill_s, nan), coalesce(server_decode_s, nan)]
                    )
                ),
                'Tuple(span_id UInt64, parent_id UInt64, start_ns Int64,
                    end_ns Int64, role LowCardinality(String), is_border Bool, is_error Bool,
                    service LowCardinality(String), region LowCardinality(String), environment LowCardinality(String), scope LowCardinality(String), dialect LowCardinality(String), operation LowCardinality(String), agent_name LowCardinality(String), action_id FixedString(16), parent_action_id FixedString(16), action_name LowCardinality(String), origin LowCardinality(String),
                    action_source LowCardinality(String), workload LowCardinality(String), user_id String, session_id String, hop Nullable(UInt16), provider LowCardinality(String), request_model LowCardinality(String), response_model LowCardinality(String),
                    response_id String, server_address LowCardinality(String), input_tokens Nullable(UInt64), cached_tokens Nullable(UInt64), cache_write_tokens Nullable(UInt64), output_tokens Nullable(UInt64),
                    reasoning_tokens Nullable(UInt64), max_tokens Nullable(UInt32), choices Nullable(UInt32), inputs Nullable(UInt32), is_stream Nullable(Bool), ttft_s Nullable(Float64), http_status Nullable(UInt16), error_type LowCardinality(String), is_wire Bool,
                    requests Nullable(UInt32), outcome LowCardinality(String), usage_source LowCardinality(String), is_gateway_hit Bool, record_duration_ns UInt64, version UInt64, name LowCardinality(String), dropped_spans UInt32, server_times Array(Float64))'
            )) AS came,
            if(
                uniqExact(span_id) = count(),
                came,
                arrayFilter((s, n) -> n = 1, arrayReverseSort(s -> s.version, came) AS newest, arrayEnumerateUniq(newest.span_id))
            ) AS each_once
        FROM spans FINAL
        WHERE (toStartOfHour(started_at), trace_id) IN (SELECT hour, trace_id FROM build_places)
        GROUP BY trace_id
    ),
    traces AS
    (
        SELECT trace_id, arraySort(s -> (s.start_ns, s.span_id), each_once) AS nodes
        FROM states
    ),
    linked AS
    (
        SELECT
            trace_id,
            nodes,
            arrayMap(
                (rank, i) -> if(rank > length(nodes) OR rank = i, 0, rank),
                arraySlice(arrayEnumerateDense(arrayConcat(nodes.span_id, nodes.parent_id)), length(nodes) + 1),
                arrayEnumerate(nodes)
            ) AS parents
        FROM traces
    ),
    circled AS
    (
        SELECT
            trace_id,
            nodes,
            parents,
            arrayFold(
                (ups, round) -> arrayMap(
                    (near, far) -> CAST((far.up, least(near.earliest, far.earliest)), 'Tuple(up UInt32, earliest UInt32)'),
                    ups,
                    -- ups[up] for every span, as below
                    arrayMap(
                        merged -> arrayMap(
                            answer -> answer.3,
                            arraySort(answer -> answer.1, arrayFilter(answer -> answer.2, arrayZip(
                                arrayMap(key -> bitAnd(key, 0xFFFFFFFF), merged.1),
                                arrayMap(key -> bitTest(key, 32), merged.1),
                                arrayFill((value, key) -> NOT bitTest(key, 32), merged.2, merged.1)
                            )))
                        ),
                        [arraySort(entry -> entry.1, arrayConcat(
                            arrayZip(arrayMap(i -> bitShiftLeft(toUInt64(i), 33), arrayEnumerate(ups)), ups),
                            arrayZip(
                                arrayMap((reach, i) -> bitShiftLeft(toUInt64(reach.up), 33) + 0x100000000 + i, ups, arrayEnumerate(ups)),
                                arrayResize(arraySlice(ups, 1, 0), length(ups))
                            )
                        ))]
                    )[1]
                ),
                range(if(
                    arrayExists((parent, i) -> parent > i, parents, arrayEnumerate(parents)),
                    toUInt8(ceil(log2(length(nodes) + 1))),
                    0
                )),
                arrayMap(parent -> CAST((parent, parent), 'Tuple(up UInt32, earliest UInt32)'), parents)
            ) AS ups
        FROM linked
    ),
    cut AS
    (
        SELECT
            trace_id,
            nodes,
            arrayMap((parent, reach, i) -> if(reach.earliest = i, 0, parent), parents, ups, arrayEnumerate(nodes)) AS parents
        FROM circled
    ),
    started AS
    (
        SELECT
            trace_id,
            nodes,
            parents,
            arrayMap(
                (node, parent, i) -> CAST(
                    (
                        parent,
                        node.action_id,
                        if(node.role = 'call', i, 0),
                        node.is_border AND node.role != 'call',
                        node.role = 'call' AND node.is_wire AND coalesce(node.requests, 0) > 0,
                        node.is_border,
                        (node.role IN ('agent', 'tool')) + coalesce(node.hop, 0),
                        isNotNull(node.hop),
                        if(node.role = 'agent', toString(node.agent_name), '')
                    ),
                    'Tuple(up UInt32, action FixedString(16), call UInt32, server UInt8, observed UInt8, border UInt8, steps UInt32, anchored UInt8, agent String)'
                ),
                nodes, parents, arrayEnumerate(nodes)
            ) AS seen_from_self
        FROM cut
    ),
    walked AS
    (
        SELECT
            trace_id,
            nodes,
            parents,
            arrayFold(
                (paths, round) -> arrayMap(
                    (near, far) -> CAST(
                        (
                            far.up,
                            if(near.action != none, near.action, far.action),
                            if(near.call > 0, near.call, far.call),
                            near.server OR (near.call = 0 AND far.server),
                            near.observed OR (NOT near.border AND far.observed),
                            near.border OR far.border,
                            near.steps + if(near.anchored, 0, far.steps),
                            near.anchored OR far.anchored,
                            if(near.agent != '', near.agent, far.agent)
                        ),
                        'Tuple(up UInt32, action FixedString(16), call UInt32, server UInt8, observed UInt8, border UInt8, steps UInt32, anchored UInt8, agent String)'
                    ),
                    paths,
                    -- paths[up] for every span: values and questions sorted together, each question filled from the
                    -- value before it, and back into the order of the spans; a lookup in a lambda would copy the array
                    arrayMap(
                        merged -> arrayMap(
                            answer -> answer.3,
                            arraySort(answer -> answer.1, arrayFilter(answer -> answer.2, arrayZip(
                                arrayMap(key -> bitAnd(key, 0xFFFFFFFF), merged.1),
                                arrayMap(key -> bitTest(key, 32), merged.1),
                                arrayFill((value, key) -> NOT bitTest(key, 32), merged.2, merged.1)
                            )))
                        ),
                        [arraySort(entry -> entry.1, arrayConcat(
                            arrayZip(arrayMap(i -> bitShiftLeft(toUInt64(i), 33), arrayEnumerate(paths)), paths),
                            arrayZip(
                                arrayMap((path, i) -> bitShiftLeft(toUInt64(path.up), 33) + 0x100000000 + i, paths, arrayEnumerate(paths)),
                                arrayResize(arraySlice(paths, 1, 0), length(paths))
                            )
                        ))]
                    )[1]
                ),
                range(toUInt8(ceil(log2(length(nodes) + 1)))),
                seen_from_self
            ) AS paths
        FROM started
    )
SELECT
    *,
    arrayMap(
        merged -> arrayMap(
            answer -> answer.3,
            arraySort(answer -> answer.1, arrayFilter(answer -> answer.2, arrayZip(
                arrayMap(key -> bitAnd(key, 0xFFFFFFFF), merged.1),
                arrayMap(key -> bitTest(key, 32), merged.1),
                arrayFill((value, key) -> NOT bitTest(key, 32), merged.2, merged.1)
            )))
        ),
        [arraySort(entry -> entry.1, arrayConcat(
            arrayZip(arrayMap(i -> bitShiftLeft(toUInt64(i), 33), arrayEnumerate(paths)), arrayZip(paths, nodes.start_ns)),
            arrayZip(
                arrayMap((parent, i) -> bitShiftLeft(toUInt64(parent), 33) + 0x100000000 + i, parents, arrayEnumerate(paths)),
                arrayResize(arraySlice(arrayZip(paths, nodes.start_ns), 1, 0), length(paths))
            )
        ))]
    )[1] AS paths_above,
    arrayFirst(id -> id != none, nodes.action_id) AS first_action
FROM walked
COMMENT 'One row per trace of the open build, with what lies above each span';
