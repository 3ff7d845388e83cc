"""What Grafana and its ClickHouse plugin make of a query before it is sent: macros and variables.

Written after the plugin's documentation and source (4.20: pkg/macros/macros.go,
src/data/CHDatasource.ts), as no Grafana can be had for the tests. `$__conditionalAll` and variables are
resolved in the browser, the time macros on Grafana's server, so an alert rule knows the latter alone.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "grafana"
Choice = str | list[str]
ALL = "$__all"


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The time picker's choice, seconds since 1970, and the width of a point."""

    from_s: int
    to_s: int
    interval_s: int = 60


@dataclass(frozen=True, slots=True)
class Target:
    """One query of a panel or variable, and where it stands."""

    where: str
    sql: str
    format: int


def dashboards() -> dict[str, dict[str, Any]]:
    return {
        path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))
    }


def alert_rules() -> list[dict[str, Any]]:
    told = yaml.safe_load((FOLDER / "provisioning" / "alerting" / "fanlight.yaml").read_text())
    return [rule for group in told["groups"] for rule in group["rules"]]


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def targets(board: dict[str, Any]) -> list[Target]:
    return [
        Target(panel["title"], target["rawSql"], target["format"])
        for panel in panels(board)
        for target in panel.get("targets", [])
    ]


def variables(board: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {told["name"]: told for told in board["templating"]["list"]}


def sent(sql: str, times: TimeRange, choices: Mapping[str, Choice]) -> str:
    """The SQL that reaches ClickHouse from a panel."""
    return on_server(_variables(_conditional_alls(sql, choices), choices), times)


def on_server(sql: str, times: TimeRange) -> str:
    """The part of it that Grafana's server does: the time macros."""
    begin, end = f"toDateTime({times.from_s})", f"toDateTime({times.to_s})"
    made = {
        "timeFilter": lambda column: f"{column} >= {begin} AND {column} <= {end}",
        "dateFilter": lambda column: f"{column} >= toDate({begin}) AND {column} <= toDate({end})",
        "timeInterval": lambda column: (
            f"toStartOfInterval(toDateTime({column}), INTERVAL {times.interval_s} second)"
        ),
    }
    sql = re.sub(r"\$__(\w+)\(([^()]*)\)", lambda found: made[found[1]](found[2]), sql)
    sql = (
        sql.replace("$__interval_s", str(times.interval_s))
        .replace("$__fromTime", begin)
        .replace("$__toTime", end)
    )
    assert "$" not in sql, f"Grafana would send this as it is: {sql}"
    return sql


def _conditional_alls(sql: str, choices: Mapping[str, Choice]) -> str:
    macro = "$__conditionalAll("
    while (start := sql.rfind(macro)) != -1:
        condition, variable, end = _arguments(sql, start + len(macro))
        chosen = choices[variable.strip().removeprefix("$")]
        phrase = "1=1" if chosen in ("", ALL, [ALL]) else condition
        sql = sql[:start] + phrase + sql[end:]
    return sql


def _arguments(sql: str, start: int) -> tuple[str, str, int]:
    depth, comma = 1, 0
    for place in range(start, len(sql)):
        depth += (sql[place] == "(") - (sql[place] == ")")
        if sql[place] == "," and depth == 1:
            comma = place
        if depth == 0:
            return sql[start:comma], sql[comma + 1 : place], place + 1
    raise AssertionError(f"a macro without an end: {sql[start:]}")


def _variables(sql: str, choices: Mapping[str, Choice]) -> str:
    def quoted(found: re.Match[str]) -> str:
        chosen = choices[found[1]]
        values = [chosen] if isinstance(chosen, str) else chosen
        return ",".join("'" + value.replace("'", "''") + "'" for value in values)

    return re.sub(r"\$\{(\w+):sqlstring\}", quoted, sql)
