"""Spans of made-up actions, written by ClickHouse itself.

    store.command(insert(actions=1_000, first=0, count=1_000))

Everything of an action follows from its number by hashes, so two runs write the same spans, and what is true of
them can be counted from the numbers alone, without any table or view of fanlight's (scale_truth.py).

Sizes are log-normal: median 11.5 spans, 99th percentile 1,900, at most 20,000, 115 on average. After the root, of
every 13 spans 8 are model calls, 3 tools, 2 agents; agents call agents as a binary heap does, so 20,000 spans are
13 steps deep. Every seventh action runs over three traces. One call in 50 takes two requests. A span has 31
attributes, those of its resource included.
"""

# ruff: noqa: E501 - SQL

SPANS_PER_ACTION = 115
DAYS = 90
ENDS_AT = "2026-11-01 00:00:00"
MODELS = (
    "llama-3.1-8b",
    "llama-3.1-70b",
    "llama-3.3-70b",
    "qwen2.5-7b",
    "qwen2.5-72b",
    "mixtral-8x7b",
    "gpt-oss-20b",
    "gpt-oss-120b",
)
REGIONS = ("eu-west-1", "us-east-1", "ap-south-1")
HARDWARE = ("H100 SXM", "H200 SXM", "MI300X")  # of each region

# One row per action.
ACTIONS = f"""\
    SELECT
        number AS a,
        (cityHash64(a, 1) + 1) / 18446744073709551616. AS chance_1,
        (cityHash64(a, 2) + 1) / 18446744073709551616. AS chance_2,
        sqrt(-2 * log(chance_1)) * cos(2 * pi() * chance_2) AS deviations,
        toUInt32(greatest(1, least(20000, round(11.5 * exp(2.19 * deviations))))) AS size,
        toUnixTimestamp(toDateTime('{ENDS_AT}', 'UTC')) - 86400 * {DAYS} AS begins_s,
        toInt64(begins_s * 1000000000 + intDiv(toInt128(a) * {DAYS * 86_400} * 1000000000, {{actions}})) AS action_ns,
        concat('u-', toString(toUInt32(50000 * pow(cityHash64(a, 3) / 18446744073709551616., 2)))) AS user,
        concat('action_', toString(toUInt32(200 * pow(cityHash64(a, 4) / 18446744073709551616., 2)))) AS action,
        cityHash64(a, 5) % {len(MODELS)} AS main_model,
        {list(REGIONS)}[cityHash64(a, 6) % {len(REGIONS)} + 1] AS region,
        a % 7 = 0 AS is_scattered
    FROM numbers({{first}}, {{count}})"""

# One row per span, without attributes. `above` is the number of the agent that the span is below, 0 for the root.
SPANS = f"""\
    SELECT
        *,
        i,
        (i - 1) % 13 AS place,
        transform(
            if(i = 0, -1, toInt16(place)),
            [-1, 1, 3, 5, 8, 10], ['action', 'tool', 'agent', 'tool', 'agent', 'tool'], 'call'
        ) AS role,
        if(i = 0, 0, toUInt32(2 * intDiv(i - 1, 13) + (place > 3) + (place > 8))) AS agents_before,
        if(role = 'agent', agents_before + 1, agents_before) AS agent,
        if(role = 'agent', intDiv(agent, 2), agent) AS above,
        toUInt32(if(above = 0, 0, 1 + 13 * intDiv(above - 1, 2) + if(above % 2 = 1, 3, 8))) AS parent,
        toUInt16(if(above = 0, 0, floor(log2(above)) + 1)) AS hop,
        if(is_scattered, agent % 3, 0) AS trace_number,
        i > 0 AND NOT (is_scattered AND above % 3 != trace_number) AS has_parent,
        cityHash64(a, i, 7) AS dice,
        action_ns + toInt64(i) * 700000000 + if(i = 0, 0, toInt64(dice % 500000000)) AS start_ns,
        action_ns + toInt64(size) * 700000000 + 6000000000 AS action_end_ns,
        toUInt64(multiIf(
            role = 'action', action_end_ns - start_ns,
            role = 'agent', action_end_ns - start_ns - 1000000,
            role = 'tool', 50000000 + dice % 500000000,
            300000000 + dice % 5000000000
        )) AS duration_ns,
        {list(MODELS)}[if(place = 7, (main_model + 3) % {len(MODELS)}, main_model) + 1] AS model,
        toUInt32(500 + intDiv(dice, 64) % 60000) AS input_tokens,
        toUInt32(intDiv(input_tokens * (intDiv(dice, 4096) % 10), 10)) AS cached_tokens,
        toUInt32(5 + intDiv(dice, 1048576) % 1500) AS output_tokens,
        toUInt32(if(intDiv(dice, 256) % 50 = 0, 2, 1)) AS requests,
        multiIf(role = 'call', 0, role = 'action', 15, 13) AS labels
    FROM
    (
{ACTIONS}
    )
    ARRAY JOIN range(size) AS i"""

INSERT = """\
INSERT INTO otel_traces
(
    Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, ResourceAttributes, ScopeName,
    ScopeVersion, SpanAttributes, Duration, StatusCode
)
"""
ROWS = f"""\
SELECT
    fromUnixTimestamp64Nano(start_ns, 'UTC') AS Timestamp,
    lower(hex(sipHash128('trace', a, trace_number))) AS TraceId,
    leftPad(lower(hex(cityHash64('span', a, i))), 16, '0') AS SpanId,
    if(has_parent, leftPad(lower(hex(cityHash64('span', a, parent))), 16, '0'), '') AS ParentSpanId,
    multiIf(
        role = 'action', action,
        role = 'agent', concat('invoke_agent worker_', toString(agent % 20)),
        role = 'tool', concat('execute_tool tool_', toString(dice % 30)),
        concat('chat ', model)
    ) AS SpanName,
    if(role = 'call', 'Client', 'Internal') AS SpanKind,
    concat('service-', toString(a % 12)) AS ServiceName,
    map(
        'service.name', ServiceName,
        'service.version', '1.4.2',
        'telemetry.sdk.language', 'python',
        'telemetry.sdk.name', 'opentelemetry',
        'cloud.region', region,
        'host.name', concat('host-', toString(a % 40)),
        'deployment.environment.name', 'production'
    ) AS ResourceAttributes,
    'fanlight' AS ScopeName,
    '0.1.0' AS ScopeVersion,
    mapConcat(
        map(
            'fanlight.action.id', lower(hex(sipHash128('trace', a, toUInt32(0)))),
            'fanlight.action.name', action,
            'fanlight.action.origin', 'user',
            'fanlight.action.source', 'declared',
            'fanlight.workload', 'serving',
            'user.id', user,
            'session.id', concat('s-', toString(intDiv(a, 3))),
            'fanlight.role', role,
            'fanlight.hop', toString(hop)
        ),
        multiIf(
            role = 'call', map(
                'gen_ai.operation.name', 'chat',
                'gen_ai.provider.name', 'openai',
                'gen_ai.request.model', model,
                'gen_ai.response.model', model,
                'gen_ai.response.id', concat('chatcmpl-', lower(hex(dice))),
                'gen_ai.usage.input_tokens', toString(input_tokens),
                'gen_ai.usage.output_tokens', toString(output_tokens),
                'gen_ai.usage.cache_read.input_tokens', toString(cached_tokens),
                'server.address', concat('llm.', region, '.example'),
                'server.port', '8000',
                'http.response.status_code', '200',
                'fanlight.wire', 'true',
                'fanlight.requests', toString(requests),
                'fanlight.request.outcome', 'answered',
                'fanlight.usage.source', 'reported'
            ),
            role = 'agent', map(
                'gen_ai.operation.name', 'invoke_agent',
                'gen_ai.agent.name', concat('worker_', toString(agent % 20))
            ),
            role = 'tool', map(
                'gen_ai.operation.name', 'execute_tool',
                'gen_ai.tool.name', concat('tool_', toString(dice % 30))
            ),
            map()
        ),
        mapFromArrays(
            arrayMap(n -> concat('app.label_', toString(n)), range(labels)),
            arrayMap(n -> concat('value ', toString(n)), range(labels))
        )
    ) AS SpanAttributes,
    duration_ns AS Duration,
    'Unset' AS StatusCode
FROM
(
{SPANS}
)"""


def actions_of(spans: int) -> int:
    """How many actions have about so many spans together."""
    return max(1, round(spans / SPANS_PER_ACTION))


def per_action(actions: int) -> str:
    """A SELECT of one row per action: a (its number), size, action_ns, user, action, region, ..."""
    return ACTIONS.format(actions=actions, first=0, count=actions)


def per_span(actions: int) -> str:
    """A SELECT of one row per span, without attributes: a, i, role, start_ns, model, requests, ..."""
    return SPANS.format(actions=actions, first=0, count=actions)


def insert(actions: int, first: int, count: int) -> str:
    """Writes the spans of some of the actions into otel_traces."""
    return INSERT + ROWS.format(actions=actions, first=first, count=count)
