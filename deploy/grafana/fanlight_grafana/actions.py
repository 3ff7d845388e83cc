"""Single actions: find one, and look at its cascade."""

# ruff: noqa: E501 - SQL

from grafana_foundation_sdk.builders import dashboard as build

from .panels import TRACE, board, rows, series, trace
from .variables import OF_ACTIONS, of_actions, typed

ONE = "action_id = ${action_id:sqlstring}"
# What the plugin itself sends for one trace with OpenTelemetry's columns (its sqlGenerator.ts): names and types are
# those that the panel asks for. The table of traces' times keeps the read to the days of the trace.
CASCADE = """
WITH
    (SELECT min(Start) FROM otel_traces_trace_id_ts WHERE TraceId IN (SELECT trace_id FROM trace)) AS first_start,
    (SELECT max(End) + 1 FROM otel_traces_trace_id_ts WHERE TraceId IN (SELECT trace_id FROM trace)) AS last_end,
    (SELECT count() FROM otel_traces_trace_id_ts WHERE TraceId = ${action_id:sqlstring}) > 0 AS begins_trace,
    trace AS
    (
        SELECT multiIf(
            ${trace_id:sqlstring} != '', ${trace_id:sqlstring},
            begins_trace, ${action_id:sqlstring},
            (SELECT any(trace_id) FROM model_calls WHERE action_id = ${action_id:sqlstring})
        ) AS trace_id
    )
SELECT
    TraceId AS traceID,
    SpanId AS spanID,
    ParentSpanId AS parentSpanID,
    ServiceName AS serviceName,
    SpanName AS operationName,
    multiply(toUnixTimestamp64Nano(Timestamp), 0.000001) AS startTime,
    multiply(Duration, 0.000001) AS duration,
    arrayMap(key -> map('key', key, 'value', SpanAttributes[key]), mapKeys(SpanAttributes)) AS tags,
    arrayMap(key -> map('key', key, 'value', ResourceAttributes[key]), mapKeys(ResourceAttributes)) AS serviceTags,
    if(StatusCode IN ('Error', 'STATUS_CODE_ERROR'), 2, 0) AS statusCode,
    SpanKind AS kind,
    StatusMessage AS statusMessage,
    TraceState AS traceState,
    ScopeName AS instrumentationLibraryName,
    ScopeVersion AS instrumentationLibraryVersion
FROM otel_traces
WHERE TraceId IN (SELECT trace_id FROM trace) AND Timestamp >= first_start AND Timestamp <= last_end
LIMIT 1 BY SpanId
LIMIT 10000
"""


def dashboard() -> build.Dashboard:
    return (
        board(
            "fanlight-actions",
            "Actions and traces",
            "Actions one by one; the id of one leads to its calls and its cascade below.",
            [
                *of_actions(),
                typed("action_id", "Action id", "The action that the lower panels show"),
                typed(
                    "trace_id", "Trace id", "Another trace of that action; empty for the one that it began"
                ),
            ],
        )
        .with_panel(
            series(
                "Actions over time",
                "Actions by the time of their start, by name; the ten with the most.",
                "SELECT $__timeInterval(started_at) AS time, action_name, count() AS actions\n"
                f"FROM actions\nWHERE {OF_ACTIONS} AND action_name IN (\n"
                f"    SELECT action_name FROM actions WHERE {OF_ACTIONS}\n"
                "    GROUP BY action_name ORDER BY count() DESC LIMIT 10)\n"
                "GROUP BY time, action_name\nORDER BY time, action_name",
                stacked=True,
                bars=True,
                width=24,
            )
        )
        .with_panel(
            rows(
                "Actions",
                "The newest 500 actions. An id leads to its cascade below.",
                "SELECT action_id, started_at, action_name AS action, user_id AS user, session_id AS session,"
                " service, requests, model_calls AS calls, tool_calls AS tools, agent_steps AS agents,"
                " errors AS `failed calls`, duration_s AS duration, input_tokens, output_tokens,"
                " gpu_seconds AS `GPU-s`, gpu_seconds_low AS low, gpu_seconds_high AS high, gpu_method AS method,"
                " open\n"
                f"FROM actions\nWHERE {OF_ACTIONS}\nORDER BY started_at DESC, action_id\nLIMIT 500",
                units={"duration": "s"},
                links={"action_id": TRACE},
                height=12,
            )
        )
        .with_panel(
            rows(
                "Model calls of the action",
                "Each model call of the action chosen, in turn. A trace id leads to that trace's spans below.",
                "SELECT started_at, trace_id, hop, agent_name AS agent, operation, model, requests,"
                " requests_refused AS refused, http_status, error_type AS error, duration_s AS duration,"
                " time_to_first_chunk_s AS `first chunk`, input_tokens, cached_tokens, output_tokens,"
                " gpu_seconds AS `GPU-s`, gpu_seconds_low AS low, gpu_seconds_high AS high, gpu_method AS method\n"
                f"FROM model_calls\nWHERE {ONE}\nORDER BY started_at, trace_id, span_id\nLIMIT 1000",
                units={"duration": "s", "first chunk": "s"},
                links={
                    "trace_id": (
                        "Its spans",
                        "/d/fanlight-actions?var-action_id=${action_id}&var-trace_id=${__value.raw}"
                        "&${__url_time_range}",
                    )
                },
            )
        )
        .with_panel(
            trace(
                "Cascade",
                "The spans of the trace that the action began, or of the trace chosen: agents, tools, calls and, where"
                " a call was sent again, its requests. At most 10,000 spans; `fanlight trace ID` shows all.",
                CASCADE,
            )
        )
    )
