"""Does everything arrive, and is it understood?"""

# ruff: noqa: E501 - SQL

from grafana_foundation_sdk.builders import dashboard as build

from .panels import TRACE, board, number, rows, series
from .variables import is_any_of, listed, source

ACTIONS = f"$__timeFilter(started_at) AND {is_any_of('service', 'service')}"


def dashboard() -> build.Dashboard:
    return (
        board(
            "fanlight-collector-health",
            "Collector health",
            "What arrives, what was rejected, what is missing; `fanlight doctor` says what to do.",
            [
                source(),
                listed(
                    "service",
                    "Service",
                    "SELECT DISTINCT service FROM actions WHERE $__timeFilter(started_at)",
                ),
            ],
        )
        .with_panel(
            number(
                "Newest end of an action",
                "Seconds since the newest end of an action that is in the figures. It grows when nothing comes in.",
                "SELECT if(count() = 0, NULL, dateDiff('second', max(last_end_at), now64(9, 'UTC'))) AS age\n"
                f"FROM actions AS a\nWHERE {ACTIONS}",
                unit="s",
            )
        )
        .with_panel(
            number(
                "Spans lost",
                "Spans that processes could not deliver, at least, as their other spans say. Above 0 every count of"
                " these actions is too low.",
                "SELECT sum(a.dropped_spans) AS lost, countIf(dropped_spans > 0) AS `in actions`\n"
                f"FROM actions AS a\nWHERE {ACTIONS}",
                width=6,
            )
        )
        .with_panel(
            number(
                "Not whole",
                "Spans without their parent, actions without their root, actions that are open.",
                "SELECT sum(a.orphans) AS orphans, countIf(NOT has_root) AS `without root`, countIf(a.open) AS open\n"
                f"FROM actions AS a\nWHERE {ACTIONS}",
                width=7,
            )
        )
        .with_panel(
            number(
                "Doubtful",
                "Spans whose clocks disagree with their parents', and actions that name more than one user.",
                "SELECT sum(skewed_spans) AS `skewed spans`, countIf(users > 1) AS `two users`\n"
                f"FROM actions AS a\nWHERE {ACTIONS}",
                width=7,
            )
        )
        .with_panel(
            series(
                "Spans by service",
                "Spans of the actions that began then.",
                "SELECT $__timeInterval(started_at) AS time, service, sum(a.spans) AS spans\n"
                f"FROM actions AS a\nWHERE {ACTIONS}\nGROUP BY time, service\nORDER BY time, service",
                stacked=True,
                bars=True,
            )
        )
        .with_panel(
            series(
                "How much of it is known",
                "Share of requests seen at the wire, of calls with their tokens, and of requests with a GPU-second"
                " figure.",
                "SELECT $__timeInterval(started_at) AS time,\n"
                "    sum(ifNull(requests_observed_share, 0) * a.requests) / nullIf(sum(a.requests), 0)"
                " AS `requests seen`,\n"
                "    1 - sum(calls_without_usage) / nullIf(sum(model_calls), 0) AS `calls with tokens`,\n"
                "    1 - sum(requests_unpriced) / nullIf(sum(a.requests), 0) AS `requests priced`\n"
                f"FROM actions AS a\nWHERE {ACTIONS}\nGROUP BY time\nORDER BY time",
                unit="percentunit",
                most=1,
            )
        )
        .with_panel(
            rows(
                "Not taken as it came",
                "What was rejected or changed, by reason, since the store was made.",
                "SELECT reason, source, count, first_at, last_at, example FROM rejects_by_reason"
                " ORDER BY last_at DESC, reason",
                width=14,
            )
        )
        .with_panel(
            rows(
                "Not understood",
                "Attributes of model-call spans of the last hour that fill no column.",
                "SELECT attribute, scope, spans FROM unknown_attributes ORDER BY spans DESC, attribute LIMIT 100",
                width=10,
            )
        )
        .with_panel(
            rows(
                "Actions to look at",
                "Those with lost spans, other users, or disagreeing clocks.",
                "SELECT action_id, started_at, service, action_name AS action, dropped_spans AS lost, orphans,"
                " skewed_spans AS skewed, users, open\n"
                f"FROM actions AS a\nWHERE {ACTIONS} AND (dropped_spans > 0 OR users > 1 OR skewed_spans > 0)\n"
                "ORDER BY started_at DESC, action_id\nLIMIT 100",
                links={"action_id": TRACE},
            )
        )
    )
