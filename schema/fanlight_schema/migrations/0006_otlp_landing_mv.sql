-- otlp_landing_mv: rows of otel_traces out of OTLP protobuf bodies, as fanlight_collectors.otlp.decode_protobuf makes them.
--
-- What needs a repair, a reject or JSON is left to Python, which answers the sender with it: a body is odd if one of its
-- spans is. The whole insert is then refused before a row is written, and the error says which bodies are odd (as an
-- error of a cast, since throwIf takes no text of its own): fanlight_schema/landing.py reads the places from it.
-- The limits are those of fanlight_collectors/otlp/spans.py, bytes here where those are characters.
CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_landing_mv TO otel_traces AS
WITH
    toUInt64(toUnixTimestamp64Nano(now64(9)) + 86400000000000) AS latest_ns,
    pairs -> CAST(
        mapFromArrays(
            pairs.key,
            arrayMap(
                v -> multiIf(
                    v.value = 'string_value', v.string_value,
                    v.value = 'int_value', toString(v.int_value),
                    v.value = 'bool_value', if(v.bool_value, 'true', 'false'),
                    v.value = 'double_value', toString(v.double_value),
                    v.value = 'array_value', concat('["', arrayStringConcat(v.array_value.values.string_value, '","'), '"]'),
                    v.value = 'bytes_value', base64Encode(v.bytes_value),
                    ''
                ),
                pairs.value
            )
        ),
        'Map(LowCardinality(String), String)'
    ) AS as_map,
    pair -> pair.value.value = 'kvlist_value'
        OR NOT isValidUTF8(pair.key)
        OR NOT isValidUTF8(pair.value.string_value)
        OR length(pair.value.string_value) > 1048576
        OR length(pair.value.bytes_value) > 524288
        OR NOT abs(pair.value.double_value) < 1e21
        OR (pair.value.value = 'array_value' AND (empty(pair.value.array_value.values) OR arrayExists(
            element -> element.value != 'string_value' OR NOT match(element.string_value, '^[ !#-%\'-;=?-\\[\\]-~]*\\z'),
            pair.value.array_value.values
        ))) AS is_odd_pair,
    text -> length(text) > 4096 OR NOT isValidUTF8(text) AS is_odd_text,
    span -> length(span.trace_id) != 16 OR span.trace_id = repeat('\0', 16)
        OR length(span.span_id) != 8 OR span.span_id = repeat('\0', 8)
        OR length(span.parent_span_id) NOT IN (0, 8)
        OR span.start_time_unix_nano > latest_ns OR span.start_time_unix_nano < 946684800000000000
        OR span.end_time_unix_nano > latest_ns OR span.end_time_unix_nano < span.start_time_unix_nano AS is_odd_span
SELECT
    fromUnixTimestamp64Nano(toInt64(span.start_time_unix_nano), 'UTC') AS Timestamp,
    lower(hex(span.trace_id)) AS TraceId,
    lower(hex(span.span_id)) AS SpanId,
    if(span.parent_span_id = repeat('\0', 8), '', lower(hex(span.parent_span_id))) AS ParentSpanId,
    span.trace_state AS TraceState,
    span.name AS SpanName,
    transform(span.kind, [1, 2, 3, 4, 5], ['Internal', 'Server', 'Client', 'Producer', 'Consumer'], 'Unspecified') AS SpanKind,
    resource['service.name'] AS ServiceName,
    resource AS ResourceAttributes,
    scope.name AS ScopeName,
    scope.version AS ScopeVersion,
    as_map(span.attributes) AS SpanAttributes,
    span.end_time_unix_nano - span.start_time_unix_nano AS Duration,
    transform(span.status.code, [1, 2], ['Ok', 'Error'], 'Unset') AS StatusCode,
    span.status.message AS StatusMessage,
    arrayMap(ns -> fromUnixTimestamp64Nano(toInt64(ns), 'UTC'), span.events.time_unix_nano) AS `Events.Timestamp`,
    span.events.name AS `Events.Name`,
    arrayMap(pairs -> as_map(pairs), span.events.attributes) AS `Events.Attributes`,
    arrayMap(id -> lower(hex(id)), span.links.trace_id) AS `Links.TraceId`,
    arrayMap(id -> lower(hex(id)), span.links.span_id) AS `Links.SpanId`,
    span.links.trace_state AS `Links.TraceState`,
    arrayMap(pairs -> as_map(pairs), span.links.attributes) AS `Links.Attributes`
FROM
(
    SELECT resource, scope_spans.scope AS scope, arrayJoin(scope_spans.spans) AS span
    FROM
    (
        SELECT as_map(resource_spans.resource.attributes) AS resource, arrayJoin(resource_spans.scope_spans) AS scope_spans
        FROM
        (
            SELECT arrayJoin(arrayFlatten(requests.resource_spans)) AS resource_spans
            FROM otlp_landing
            WHERE toUInt8(if(
                empty(arrayFilter(
                    (place, request) -> arrayExists(
                            pair -> is_odd_pair(pair),
                            arrayConcat(
                                arrayFlatten(request.resource_spans.resource.attributes),
                                arrayFlatten(arrayFlatten(request.resource_spans.scope_spans.spans).attributes),
                                arrayFlatten(arrayFlatten(request.resource_spans.scope_spans.spans).events.attributes),
                                arrayFlatten(arrayFlatten(request.resource_spans.scope_spans.spans).links.attributes)
                            )
                        )
                        OR arrayExists(
                            text -> is_odd_text(text),
                            arrayConcat(
                                arrayFlatten(request.resource_spans.scope_spans.scope.name),
                                arrayFlatten(request.resource_spans.scope_spans.scope.version),
                                arrayFlatten(request.resource_spans.scope_spans.spans.name),
                                arrayFlatten(request.resource_spans.scope_spans.spans.trace_state),
                                arrayFlatten(request.resource_spans.scope_spans.spans.status.message),
                                arrayFlatten(request.resource_spans.scope_spans.spans.events.name),
                                arrayFlatten(request.resource_spans.scope_spans.spans.links.trace_state)
                            )
                        )
                        OR arrayExists(
                            keys -> length(arrayDistinct(keys)) != length(keys),
                            arrayConcat(
                                request.resource_spans.resource.attributes.key,
                                arrayMap(span -> span.attributes.key, arrayFlatten(request.resource_spans.scope_spans.spans)),
                                arrayMap(event -> event.attributes.key, arrayFlatten(request.resource_spans.scope_spans.spans.events)),
                                arrayMap(link -> link.attributes.key, arrayFlatten(request.resource_spans.scope_spans.spans.links))
                            )
                        )
                        OR arrayExists(span -> is_odd_span(span), arrayFlatten(request.resource_spans.scope_spans.spans))
                        OR arrayExists(ns -> ns > latest_ns, arrayFlatten(request.resource_spans.scope_spans.spans.events.time_unix_nano))
                        OR arrayExists(
                            link -> length(link.trace_id) != 16 OR length(link.span_id) != 8,
                            arrayFlatten(request.resource_spans.scope_spans.spans.links)
                        ),
                    arrayEnumerate(requests), requests
                ) AS odd),
                '1',
                concat('odd bodies: ', arrayStringConcat(odd, ','))
            )) = 1
        )
    )
)
