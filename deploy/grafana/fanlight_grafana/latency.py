"""How long do actions and calls take, and on what does that time go?"""

# ruff: noqa: E501 - SQL

from grafana_foundation_sdk.builders import dashboard as build

from .panels import board, rows, series
from .variables import WHO, is_any_of, listed, origin, source, workload

CALLS = (
    "$__timeFilter(started_at)"
    f" AND {is_any_of('action_name', 'action')} AND {is_any_of('model', 'model')} AND {WHO}"
)
DAYS = f"$__dateFilter(day) AND {is_any_of('action_name', 'action')} AND {WHO}"
GENERATES = "output_tokens > 1 AND duration_s > time_to_first_chunk_s"


def _quantiles(of: str, weight: str) -> str:
    return ", ".join(
        f"if(sum({weight}) = 0, NULL, quantileExactWeighted({share})(assumeNotNull({of}), {weight})) AS {name}"
        for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
    )


def dashboard() -> build.Dashboard:
    known = "toUInt8(isNotNull(time_to_first_chunk_s))"
    return (
        board(
            "fanlight-latency",
            "Latency",
            "Time to the first token, tokens per second, and what the time of an action went on.",
            [
                source(),
                listed(
                    "action",
                    "Action",
                    "SELECT DISTINCT action_name FROM fanout_by_action_daily WHERE $__dateFilter(day)",
                ),
                listed(
                    "model", "Model", "SELECT DISTINCT model FROM gpu_demand_hourly WHERE $__timeFilter(hour)"
                ),
                origin(),
                workload(),
            ],
        )
        .with_panel(
            series(
                "Time to the first chunk",
                "Of streamed calls, from sending to the first chunk: nearest-rank percentiles.",
                f"SELECT $__timeInterval(started_at) AS time, {_quantiles('time_to_first_chunk_s', known)}\n"
                f"FROM model_calls\nWHERE {CALLS}\nGROUP BY time\nORDER BY time",
                unit="s",
            )
        )
        .with_panel(
            series(
                "Output tokens per second",
                "Of streamed calls, after the first chunk: median by model. Calls of one token are left out.",
                "SELECT $__timeInterval(started_at) AS time, model,\n"
                "    quantileExactWeighted(0.5)(assumeNotNull((output_tokens - 1)"
                " / (duration_s - time_to_first_chunk_s)), 1) AS `tokens/s`\n"
                f"FROM model_calls\nWHERE {CALLS} AND {GENERATES}\nGROUP BY time, model\nORDER BY time, model",
            )
        )
        .with_panel(
            series(
                "Duration of a call",
                "From the first request to the last byte, retries included: nearest-rank percentiles.",
                f"SELECT $__timeInterval(started_at) AS time, {_quantiles('duration_s', 'toUInt8(1)')}\n"
                f"FROM model_calls\nWHERE {CALLS}\nGROUP BY time\nORDER BY time",
                unit="s",
            )
        )
        .with_panel(
            series(
                "What the servers say",
                "Where a server tells its own times: median wait in its queue, prefill and decode of a call.",
                "SELECT $__timeInterval(started_at) AS time,\n"
                "    quantileExactWeightedIf(0.5)(assumeNotNull(server_queue_s), 1, isNotNull(server_queue_s))"
                " AS queue,\n"
                "    quantileExactWeightedIf(0.5)(assumeNotNull(server_prefill_s), 1, isNotNull(server_prefill_s))"
                " AS prefill,\n"
                "    quantileExactWeightedIf(0.5)(assumeNotNull(server_decode_s), 1, isNotNull(server_decode_s))"
                " AS decode\n"
                f"FROM model_calls\nWHERE {CALLS} AND (isNotNull(server_prefill_s) OR isNotNull(server_decode_s))\n"
                "GROUP BY time\nORDER BY time",
                unit="s",
            )
        )
        .with_panel(
            series(
                "Duration of an action",
                "90th percentile of each day (UTC), of the ten names with the most actions.",
                "SELECT toDateTime(day) AS time, action_name, max(duration_p90_s) AS p90\n"
                f"FROM latency_by_action\nWHERE {DAYS} AND action_name IN (\n"
                f"    SELECT action_name FROM latency_by_action WHERE {DAYS}\n"
                "    GROUP BY action_name ORDER BY sum(actions) DESC LIMIT 10)\n"
                "GROUP BY time, action_name\nORDER BY time, action_name",
                unit="s",
            )
        )
        .with_panel(
            series(
                "Where an action's time goes",
                "Share of the critical path of all actions of the day (UTC): in requests to models, in tools, in waiting"
                " to send again, and the rest, agents and the app's own code.",
                "SELECT toDateTime(day) AS time, sum(model_share * duration_s) / sum(duration_s) AS models,\n"
                "    sum(tool_share * duration_s) / sum(duration_s) AS tools,\n"
                "    sum(waiting_share * duration_s) / sum(duration_s) AS `back-off`,\n"
                "    sum(agent_share * duration_s) / sum(duration_s) AS app\n"
                f"FROM latency_by_action\nWHERE {DAYS} AND duration_s > 0\nGROUP BY time\nORDER BY time",
                unit="percentunit",
                stacked=True,
                bars=True,
                most=1,
            )
        )
        .with_panel(
            rows(
                "Actions",
                "Duration of each day's actions (UTC) by name, nearest-rank percentiles, and what it went on.",
                "SELECT day, action_name AS action, actions, duration_p50_s AS p50, duration_p90_s AS p90,"
                " duration_p99_s AS p99, model_share AS models, tool_share AS tools, waiting_share AS `back-off`,"
                " agent_share AS app, ttft_p50_s AS `first chunk p50`, ttft_p99_s AS `first chunk p99`\n"
                f"FROM latency_by_action\nWHERE {DAYS}\nORDER BY day DESC, actions DESC, action\nLIMIT 500",
                units={
                    **dict.fromkeys(("p50", "p90", "p99", "first chunk p50", "first chunk p99"), "s"),
                    **dict.fromkeys(("models", "tools", "back-off", "app"), "percentunit"),
                },
            )
        )
        .with_panel(
            rows(
                "If inference were faster",
                "How much faster actions would get, at most, if inference got k times faster: what remains are tools"
                " and the app's own code.",
                "SELECT action_name AS action, k, sum(s.actions) AS actions,\n"
                "    sum(s.duration_s * s.actions) / sum(s.actions) AS `today`,\n"
                "    sum(s.duration_if_s * s.actions) / sum(s.actions) AS `then, at least`,\n"
                "    `today` / nullIf(`then, at least`, 0) AS `times faster, at most`\n"
                f"FROM inference_speedup AS s\nWHERE {DAYS}\nGROUP BY action_name, k\nORDER BY action, k\nLIMIT 500",
                units={"today": "s", "then, at least": "s"},
            )
        )
    )
