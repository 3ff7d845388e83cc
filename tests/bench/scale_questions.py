"""What dashboards ask, of the public views and, where it can be asked, of plain otel_traces."""

# ruff: noqa: E501 - SQL

from dataclasses import dataclass

from scale_spans import ENDS_AT

LAST_WEEK = f"toDateTime('{ENDS_AT}', 'UTC') - INTERVAL 7 DAY"
LAST_MONTH = f"toDateTime('{ENDS_AT}', 'UTC') - INTERVAL 30 DAY"

# The value of GPU-seconds out of the attributes, for calls as this bench has them: all tokens are told, the last
# request was answered, those before it gave no output.
PLAIN_CALLS = """\
SELECT
    SpanAttributes['user.id'] AS user_id,
    toStartOfHour(Timestamp) AS hour,
    SpanAttributes['gen_ai.request.model'] AS model,
    ResourceAttributes['cloud.region'] AS region,
    SpanAttributes['server.address'] AS server,
    toUInt64(SpanAttributes['fanlight.requests']) AS requests,
    toFloat64(SpanAttributes['gen_ai.usage.input_tokens']) AS i,
    toFloat64(SpanAttributes['gen_ai.usage.cache_read.input_tokens']) AS c,
    toFloat64(SpanAttributes['gen_ai.usage.output_tokens']) AS o
FROM otel_traces
WHERE SpanAttributes['fanlight.role'] = 'call'"""
PLAIN_SECONDS = """\
sum(reference_factor * (
        requests * (rates[1] + rates[2] * (i - c) + rates[3] * c + rates[5] * (i - c) * (c + (i - c) / 2))
        + rates[4] * o + rates[6] * o * (i + o / 2)
    ))"""


@dataclass(frozen=True, slots=True)
class Question:
    """`plain` asks the same of otel_traces alone; `most_ms` is what it may take warm on 20 million spans."""

    name: str
    sql: str
    plain: str = ""
    most_ms: float | None = None
    explained: bool = True  # whether EXPLAIN tells how long planning takes


def questions(largest_action: str) -> list[Question]:
    """`largest_action`: the action id, hexadecimal, whose tree is asked for."""
    return [
        Question(
            "fan-out quantiles by action and day",
            """\
SELECT action_name, day, actions, [fanout_p50, fanout_p90, fanout_p99] AS fanout
FROM fanout_by_action_daily ORDER BY action_name, day""",
            """\
SELECT action_name, toDate(started_at) AS day, count() AS actions,
    quantilesExactWeighted(0.5, 0.9, 0.99)(requests, 1) AS fanout
FROM
(
    SELECT SpanAttributes['fanlight.action.id'] AS action_id, any(SpanAttributes['fanlight.action.name']) AS action_name,
        min(Timestamp) AS started_at, sum(toUInt64OrZero(SpanAttributes['fanlight.requests'])) AS requests
    FROM otel_traces GROUP BY action_id
)
GROUP BY action_name, day ORDER BY action_name, day""",
            60,
        ),
        Question(
            "top 100 users by GPU-seconds, 7 days",
            f"""\
SELECT user_id, round(sum(gpu_seconds), 3) AS seconds FROM gpu_demand_by_user_daily
WHERE day >= {LAST_WEEK} GROUP BY user_id ORDER BY seconds DESC, user_id LIMIT 100""",
            f"""\
SELECT user_id, round({PLAIN_SECONDS}, 3) AS seconds
FROM ({PLAIN_CALLS} AND Timestamp >= {LAST_WEEK}) AS calls
INNER JOIN (SELECT * FROM gpu_rates FINAL) AS held ON calls.model = held.model AND calls.server = held.server_address
GROUP BY user_id ORDER BY seconds DESC, user_id LIMIT 100""",
            20,
        ),
        Question(
            "hourly demand by model, hardware, region, 30 days",
            f"""\
SELECT hour, model, hardware, region, sum(requests) AS sent, round(sum(gpu_seconds), 3) AS seconds
FROM gpu_demand_hourly WHERE hour >= {LAST_MONTH} GROUP BY ALL ORDER BY ALL""",
            f"""\
SELECT hour, model, hardware, region, sum(requests) AS sent, round({PLAIN_SECONDS}, 3) AS seconds
FROM ({PLAIN_CALLS} AND Timestamp >= {LAST_MONTH}) AS calls
INNER JOIN (SELECT * FROM gpu_rates FINAL) AS held ON calls.model = held.model AND calls.server = held.server_address
GROUP BY hour, model, hardware, region ORDER BY ALL""",
            20,
        ),
        Question(
            "tree of the largest action",
            f"""\
SELECT span_id, parent_id, role, name, started_at, duration_ns, input_tokens, output_tokens, is_error
FROM spans FINAL
WHERE (toStartOfHour(started_at), trace_id) IN
(
    SELECT hour, trace_id FROM trace_index
    WHERE trace_id IN (SELECT trace_id FROM action_traces WHERE action_id = unhex('{largest_action}'))
)
ORDER BY started_at, span_id""",
            f"""\
SELECT reinterpretAsUInt64(reverse(unhex(SpanId))), reinterpretAsUInt64(reverse(unhex(ParentSpanId))),
    SpanAttributes['fanlight.role'], SpanName, Timestamp, Duration, nullIf(SpanAttributes['gen_ai.usage.input_tokens'], ''),
    nullIf(SpanAttributes['gen_ai.usage.output_tokens'], ''), (StatusCode = 'Error')::Bool
FROM otel_traces WHERE SpanAttributes['fanlight.action.id'] = '{largest_action}' ORDER BY Timestamp, SpanId""",
            50,
        ),
        Question(
            "calls per action by hour, 90 days",
            "SELECT hour, sum(calls), sum(actions) FROM fanout_hourly GROUP BY hour ORDER BY hour",
            """\
SELECT toStartOfHour(started_at) AS hour, sum(calls), count()
FROM
(
    SELECT SpanAttributes['fanlight.action.id'] AS action_id, min(Timestamp) AS started_at,
        countIf(SpanAttributes['fanlight.role'] = 'call') AS calls
    FROM otel_traces GROUP BY action_id
)
GROUP BY hour ORDER BY hour""",
        ),
        Question(
            "one user's actions, newest first",
            "SELECT * FROM actions WHERE user_id = 'u-1' ORDER BY started_at DESC LIMIT 50",
        ),
        Question("one action", f"SELECT * FROM actions WHERE action_id = '{largest_action}'"),
        Question(
            "calls of the last day",
            f"SELECT model, count() FROM model_calls WHERE started_at >= {LAST_WEEK} + INTERVAL 6 DAY GROUP BY model",
        ),
    ]


def whole_views(views: list[str]) -> list[Question]:
    # The text of a plan of gpu_attribution takes a minute of CPU, the plan itself half a second.
    return [
        Question(f"{view}, whole", f"SELECT * FROM {view}", explained=view != "gpu_attribution")
        for view in views
    ]
