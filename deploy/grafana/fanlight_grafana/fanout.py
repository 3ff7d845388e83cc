"""How many inference requests does one user action set off?"""

# ruff: noqa: E501 - SQL

from grafana_foundation_sdk.builders import dashboard as build

from .panels import TRACE, bars, board, number, rows, series
from .variables import OF_ACTIONS, WHO, is_any_of, of_actions

PERCENTILES = """
    quantileExactWeighted(0.5)(a.requests, 1) AS p50,
    quantileExactWeighted(0.9)(a.requests, 1) AS p90,
    quantileExactWeighted(0.99)(a.requests, 1) AS p99"""
SPREAD = f"{PERCENTILES}, max(a.requests) AS max"
OBSERVED = "sum(ifNull(a.requests_observed_share, 0) * a.requests)"
AMPLIFICATION = f"if(sum(a.model_calls) = 0 OR {OBSERVED} = 0, NULL, sum(a.requests) / sum(a.model_calls))"


def dashboard() -> build.Dashboard:
    return (
        board(
            "fanlight-fanout",
            "Fan-out",
            "Inference requests per user action, with the percentiles that a mean hides.",
            of_actions(),
        )
        .with_panel(
            number(
                "Fan-out",
                "Inference requests per action: mean, and nearest-rank percentiles over the actions that began in"
                " the time chosen, those without a request included.",
                f"SELECT avg(a.requests) AS mean,{SPREAD}\nFROM actions AS a\nWHERE {OF_ACTIONS}\nHAVING count() > 0",
                width=10,
            )
        )
        .with_panel(
            number(
                "Actions, calls, requests",
                "A call is one SDK method call; a request is one inference that a provider was asked to run,"
                " retries included.",
                "SELECT count() AS actions, sum(a.model_calls) AS calls, sum(a.requests) AS requests\n"
                f"FROM actions AS a\nWHERE {OF_ACTIONS}",
                width=8,
            )
        )
        .with_panel(
            number(
                "Amplification",
                "Requests per call: above 1 there are retries. Unknown where no request was seen at the wire; the"
                " share that was seen stands beside it.",
                f"SELECT {AMPLIFICATION} AS `requests per call`,\n"
                f"    if(sum(a.requests) = 0, NULL, {OBSERVED} / sum(a.requests)) AS `share seen`\n"
                f"FROM actions AS a\nWHERE {OF_ACTIONS}",
                width=6,
            )
        )
        .with_panel(
            series(
                "Fan-out over time",
                "Requests per action, by the start of the action: mean and nearest-rank percentiles.",
                "SELECT $__timeInterval(started_at) AS time, avg(a.requests) AS mean,"
                f"{PERCENTILES}\nFROM actions AS a\nWHERE {OF_ACTIONS}\nGROUP BY time\nORDER BY time",
            )
        )
        .with_panel(
            series(
                "Requests by action",
                "Requests of the ten actions with the most of them, by the start of the action.",
                "SELECT $__timeInterval(started_at) AS time, action_name, sum(a.requests) AS requests\n"
                f"FROM actions AS a\nWHERE {OF_ACTIONS} AND action_name IN (\n"
                f"    SELECT action_name FROM actions AS a WHERE {OF_ACTIONS}\n"
                "    GROUP BY action_name ORDER BY sum(a.requests) DESC LIMIT 10)\n"
                "GROUP BY time, action_name\nORDER BY time, action_name",
                stacked=True,
                bars=True,
            )
        )
        .with_panel(
            bars(
                "How actions are spread",
                "Actions by their number of requests, in classes that double. The last ones are the runaways.",
                "SELECT if(class = 0, '0', if(class = 1, '1', concat(toString(toUInt64(exp2(class - 1))), ' to ',"
                " toString(toUInt64(exp2(class)) - 1)))) AS requests, actions\nFROM (\n"
                "    SELECT if(a.requests = 0, 0, toUInt8(floor(log2(a.requests))) + 1) AS class, count() AS actions\n"
                f"    FROM actions AS a\n    WHERE {OF_ACTIONS}\n    GROUP BY class\n)\nORDER BY class",
                "requests",
            )
        )
        .with_panel(
            series(
                "Amplification by retries",
                "Requests per call over time, by service. Unknown where no request was seen at the wire.",
                f"SELECT $__timeInterval(started_at) AS time, service, {AMPLIFICATION} AS `requests per call`\n"
                f"FROM actions AS a\nWHERE {OF_ACTIONS}\nGROUP BY time, service\nORDER BY time, service",
                least=1,
            )
        )
        .with_panel(
            rows(
                "By action",
                "Each name of an action: how many there were, and how many requests one of them set off.",
                "SELECT action_name AS action, origin, count() AS actions, sum(a.requests) AS requests,\n"
                f"    avg(a.requests) AS mean,{SPREAD},\n    {AMPLIFICATION} AS `requests per call`,\n"
                "    sum(errors) AS `failed calls`\n"
                f"FROM actions AS a\nWHERE {OF_ACTIONS}\nGROUP BY action_name, origin\nORDER BY requests DESC\nLIMIT 100",
                units={"mean": "short", "requests per call": "short"},
            )
        )
        .with_panel(
            rows(
                "Runaways",
                "The single actions with the most requests. Its id leads to its cascade.",
                "SELECT action_id, started_at, action_name AS action, user_id AS user, requests,"
                " model_calls AS calls, depth, duration_s AS duration, gpu_seconds_low AS `GPU-s low`,"
                " gpu_seconds_high AS `GPU-s high`, gpu_method AS method\n"
                f"FROM actions AS a\nWHERE {OF_ACTIONS}\nORDER BY requests DESC, action_id\nLIMIT 50",
                units={"duration": "s", "GPU-s low": "short", "GPU-s high": "short"},
                links={"action_id": TRACE},
            )
        )
        .with_panel(
            bars(
                "Branching, hop by hop",
                "Children of a step: below the action itself (hop 0), below what stands there (hop 1), and so on."
                " Filters: action, origin and workload; whole days (UTC).",
                "SELECT concat('hop ', toString(hop)) AS `below`,\n"
                "    sum(b.agents) / nullIf(sum(b.parents), 0) AS agents,\n"
                "    sum(b.tools) / nullIf(sum(b.parents), 0) AS tools,\n"
                "    sum(b.calls) / nullIf(sum(b.parents), 0) AS calls\n"
                "FROM branching_by_hop AS b\n"
                f"WHERE $__dateFilter(day) AND {is_any_of('action_name', 'action')} AND {WHO}\n"
                "GROUP BY hop\nORDER BY b.hop\nLIMIT 20",
                "below",
                stacked=True,
            )
        )
        .with_panel(
            series(
                "Depth and size",
                "Steps in the longest chain of an action, and its spans: 99th percentile over time.",
                "SELECT $__timeInterval(started_at) AS time, quantileExactWeighted(0.99)(depth, 1) AS `depth p99`,\n"
                "    quantileExactWeighted(0.99)(spans, 1) AS `spans p99`\n"
                f"FROM actions AS a\nWHERE {OF_ACTIONS}\nGROUP BY time\nORDER BY time",
            )
        )
    )
