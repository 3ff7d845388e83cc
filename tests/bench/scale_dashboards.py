"""Every query of Grafana's dashboards and alerts, as the last week of the bench's spans makes them."""

from collections.abc import Iterator
from datetime import datetime, timezone

import support_path  # noqa: F401
from scale_questions import Question
from scale_spans import ENDS_AT

import grafana

WEEK_S = 7 * 86_400
POINTS = 400  # of a graph: what Grafana asks for on a wide screen


def dashboard_questions(largest_action: str, largest_trace: str) -> Iterator[Question]:
    """Each panel with all variables at what the dashboard opens with; ids are those of the largest action."""
    end_s = int(datetime.fromisoformat(ENDS_AT).replace(tzinfo=timezone.utc).timestamp())
    times = grafana.TimeRange(end_s - WEEK_S, end_s, WEEK_S // POINTS)
    ids = {"action_id": largest_action, "trace_id": largest_trace}
    for name, board in grafana.dashboards().items():
        variables = grafana.variables(board)
        choices = {
            key: told["current"]["value"] if "current" in told else ids.get(key, "")
            for key, told in variables.items()
        } | {key: value for key, value in ids.items() if key in variables}
        for number, target in enumerate(grafana.targets(board), start=1):
            yield Question(f"{name} {number}: {target.where}", grafana.sent(target.sql, times, choices))
    for rule in grafana.alert_rules():
        for query in rule["data"]:
            if sql := query["model"].get("rawSql"):
                yield Question(f"alert: {rule['title']}", grafana.on_server(sql, times))
