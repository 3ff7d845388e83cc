"""The dashboards and alerts of deploy/grafana: whole, and each query right on a real ClickHouse server.

No Grafana runs here. What it and its plugin make of a query is tests/support/grafana.py.
"""

import importlib.util
import itertools
import json
import math
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import grafana
import otlp_json
import random_cascades
from clickhouse_server import Server
from fanlight_schema import migrate, refresh
from fanlight_schema.store import Store, open_store
from grafana import TimeRange
from requirements import require

BOARDS = grafana.dashboards()
RULES = grafana.alert_rules()
START_S = random_cascades.START_NS // 10**9
TIMES = TimeRange(START_S - 3600, START_S + 6 * 3600)
BROWSER_ONLY = ("$__conditionalAll", "$__adHocFilters", "${")
OTHER_TABLES = {"otel_traces", "otel_traces_trace_id_ts"}  # those of Grafana's own trace view
# Names and types of a trace that the panel asks for (the plugin's docs and sqlGenerator.ts).
TRACE_FRAME = {
    "traceID": "String",
    "spanID": "String",
    "parentSpanID": "String",
    "serviceName": "LowCardinality(String)",
    "operationName": "LowCardinality(String)",
    "startTime": "Float64",
    "duration": "Float64",
    "tags": "Array(Map(String, String))",
    "serviceTags": "Array(Map(String, String))",
    "statusCode": "UInt8",
    "kind": "LowCardinality(String)",
    "statusMessage": "String",
    "traceState": "String",
    "instrumentationLibraryName": "String",
    "instrumentationLibraryVersion": "String",
}


@pytest.fixture(scope="module")
def filled(clickhouse_server: Server) -> Iterator[Store]:
    with open_store(clickhouse_server.url("grafana")) as store:
        migrate.apply(store)
        rng = random.Random(7)
        store.insert("otel_traces", otlp_json.columns(random_cascades.rows(rng, cascades=60)))
        write_samples(store)
        refresh.settle(store, timeout_s=60)
        refresh.settle_shapes(store, timeout_s=60)
        yield store


def write_samples(store: Store) -> None:
    """An engine and its GPU, asked three times within the actions' hours."""
    for number in range(3):
        scraped_at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(START_S + 60 * number))
        at = {"scraped_at": scraped_at, "target": "http://e/metrics", "window_s": 60 * (number > 0)}
        engine = {"engine": "vllm", "model": "qwen3-8b", "status": "ok", "output_tokens": 100 * number}
        gpu = {
            "gpu": "GPU-a",
            "hardware": "H100 SXM",
            "gpu_share": 1,
            "busy_share": 0.5,
            "workload": "serving",
        }
        store.insert_bytes("engine_samples", json.dumps(at | engine).encode(), "JSONEachRow")
        store.insert_bytes("gpu_samples", json.dumps(at | gpu).encode(), "JSONEachRow")


def choices(board: dict[str, Any], **changes: grafana.Choice) -> dict[str, grafana.Choice]:
    """What a dashboard opens with, but for the changes."""
    return {
        name: told["current"]["value"] if "current" in told else ""
        for name, told in grafana.variables(board).items()
    } | changes


def asked(store: Store, sql: str) -> list[dict[str, Any]]:
    return store.query(sql).dicts()


def types_of(store: Store, sql: str) -> dict[str, str]:
    return {row["name"]: row["type"] for row in asked(store, f"DESCRIBE TABLE ({sql})")}


def public_views(store: Store) -> set[str]:
    return {
        row[0]
        for row in store.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View'"
        ).rows
    }


def test_the_dashboards_are_those_that_the_package_makes(tmp_path: Path) -> None:
    if sys.version_info < (3, 11):
        pytest.skip("grafana-foundation-sdk needs Python 3.11")  # the JSON itself is tested on every Python
    require(importlib.util.find_spec("grafana_foundation_sdk") is not None, "grafana-foundation-sdk")
    subprocess.run(
        [sys.executable, "-m", "fanlight_grafana", str(tmp_path)], cwd=grafana.FOLDER, check=True, timeout=60
    )
    made, there = (
        {path.name: path.read_text() for path in folder.glob("*.json")}
        for folder in (tmp_path, grafana.FOLDER / "dashboards")
    )
    assert made == there


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_is_whole(name: str) -> None:
    board = BOARDS[name]
    panels = list(grafana.panels(board))
    known = set(grafana.variables(board))
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids)
    assert "id" not in board
    assert board["uid"]
    for panel in panels:
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            used = set(re.findall(r"\$\{(\w+)[:}]", target["rawSql"]))
            used |= set(re.findall(r", ?\$(\w+)\)", target["rawSql"]))
            assert used <= known, panel["title"]
    for variable in grafana.variables(board).values():
        if variable["type"] == "query":
            assert variable["datasource"]["uid"] == "${datasource}"


@pytest.mark.parametrize("name", BOARDS)
def test_no_two_panels_of_a_dashboard_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARDS[name]["panels"]:
        at = panel["gridPos"]
        cells = set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
        assert at["x"] + at["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


def test_links_lead_to_dashboards_and_variables_that_there_are() -> None:
    by_uid = {board["uid"]: board for board in BOARDS.values()}
    assert len(by_uid) == len(BOARDS)
    links = re.findall(r"/d/([\w-]+)\?([^\"]*)", "".join(str(board) for board in BOARDS.values()))
    assert links
    for uid, query in links:
        assert set(re.findall(r"var-(\w+)=", query)) <= set(grafana.variables(by_uid[uid]))
    for rule in RULES:
        assert rule["annotations"]["__dashboardUid__"] in by_uid


@pytest.mark.parametrize("name", BOARDS)
@pytest.mark.parametrize("chosen", ["as it opens", "all", "one", "quotes"])
def test_every_query_runs_and_reads_public_views_alone(filled: Store, name: str, chosen: str) -> None:
    board = BOARDS[name]
    (one,) = asked(
        filled, "SELECT action_id, action_name, user_id FROM actions ORDER BY requests DESC LIMIT 1"
    )
    changes: dict[str, grafana.Choice] = {}
    for variable, told in grafana.variables(board).items():
        if told["type"] in ("query", "custom"):
            value: grafana.Choice = {"all": [grafana.ALL], "quotes": ["it's", "b"]}.get(
                chosen, [one["action_name"]]
            )
            if chosen != "as it opens":
                changes[variable] = value
        elif told["type"] == "textbox" and chosen in ("one", "quotes"):
            changes[variable] = (
                one.get({"user": "user_id"}.get(variable, variable), "") if chosen == "one" else "it's"
            )
    read: set[str] = set()
    for target in grafana.targets(board):
        sql = grafana.sent(target.sql, TIMES, choices(board, **changes))
        rows = filled.query(sql).rows
        if target.format == 0:
            (time, kind), *_ = types_of(filled, sql).items()
            assert (time, kind[:8]) == ("time", "DateTime"), target.where
        if chosen == "all" and name != "actions":
            assert rows or target.where in MAY_BE_EMPTY, target.where
        read |= set(re.findall(r"\bFROM (\w+)", target.sql))
    for variable in grafana.variables(board).values():
        if variable["type"] == "query":
            filled.query(grafana.sent(variable["query"]["rawSql"], TIMES, {}))
            read |= set(re.findall(r"\bFROM (\w+)", variable["query"]["rawSql"]))
    allowed = public_views(filled) | ({*OTHER_TABLES, "trace"} if name == "actions" else set())
    assert read <= allowed


MAY_BE_EMPTY = {"Not understood", "What the servers say", "Not taken as it came"}


def test_the_fan_out_panel_is_that_of_the_actions_chosen(filled: Store) -> None:
    board = BOARDS["fanout"]
    (panel,) = [target for target in grafana.targets(board) if target.where == "Fan-out"]
    actions = asked(filled, "SELECT * FROM actions")
    users = sorted({row["user_id"] for row in actions})
    for user in ["", *users]:
        told = asked(filled, grafana.sent(panel.sql, TIMES, choices(board, user=user)))
        counts = sorted(
            row["requests"]
            for row in actions
            if user in ("", row["user_id"]) and row["origin"] == "user" and row["workload"] == "serving"
        )
        if not counts:
            assert told == []
            continue
        nearest = [counts[math.ceil(share * len(counts)) - 1] for share in (0.5, 0.9, 0.99)]
        (row,) = told
        assert row["mean"] == pytest.approx(sum(counts) / len(counts))
        assert [row["p50"], row["p90"], row["p99"], row["max"]] == [*nearest, counts[-1]]


def test_the_classes_of_fan_out_hold_each_action_once(filled: Store) -> None:
    board = BOARDS["fanout"]
    (panel,) = [target for target in grafana.targets(board) if target.where == "How actions are spread"]
    told = asked(
        filled, grafana.sent(panel.sql, TIMES, choices(board, origin=[grafana.ALL], workload=[grafana.ALL]))
    )
    bounds = [[int(number) for number in row["requests"].split(" to ")] for row in told]
    counts = [row["requests"] for row in asked(filled, "SELECT requests FROM actions")]
    assert sum(row["actions"] for row in told) == len(counts)
    for row, bound in zip(told, bounds, strict=True):
        assert row["actions"] == sum(bound[0] <= count <= bound[-1] for count in counts)


def test_the_cascade_is_a_frame_that_the_trace_panel_takes(filled: Store) -> None:
    board = BOARDS["actions"]
    (panel,) = [target for target in grafana.targets(board) if target.where == "Cascade"]
    assert panel.format == 3
    (one,) = asked(
        filled,
        "SELECT TraceId, uniqExact(SpanId) AS spans FROM otel_traces"
        " WHERE TraceId IN (SELECT action_id FROM actions) GROUP BY TraceId ORDER BY spans DESC LIMIT 1",
    )
    sql = grafana.sent(panel.sql, TIMES, choices(board, action_id=one["TraceId"]))
    assert types_of(filled, sql) == TRACE_FRAME
    spans = asked(filled, sql)
    assert len(spans) == one["spans"]
    assert {span["traceID"] for span in spans} == {one["TraceId"]}
    raw = asked(
        filled,
        "SELECT min(toUnixTimestamp64Nano(Timestamp)) / 1e6 AS first FROM otel_traces"
        f" WHERE TraceId = '{one['TraceId']}'",
    )
    assert min(span["startTime"] for span in spans) == pytest.approx(raw[0]["first"])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["uid"]))
def test_an_alert_asks_in_the_server_s_words_and_compares_one_number(
    filled: Store, rule: dict[str, Any]
) -> None:
    asks, limit = rule["data"]
    sql = asks["model"]["rawSql"]
    assert not any(word in sql for word in BROWSER_ONLY)
    assert asks["datasourceUid"] == "fanlight-clickhouse"
    assert (rule["condition"], limit["model"]["expression"]) == (limit["refId"], asks["refId"])
    types = types_of(filled, grafana.on_server(sql, TIMES))
    assert [name for name, kind in types.items() if "String" not in kind] == [asks["refId"]]
    labels = set(types)
    assert set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) <= labels
    assert set(re.findall(r"\$values\.(\w+)\.", rule["annotations"]["summary"])) <= {asks["refId"]}


@pytest.mark.parametrize(
    ("uid", "truth"),
    [
        ("fanlight-spans-lost", "SELECT sum(dropped_spans) FROM actions"),
        ("fanlight-nothing-received", "SELECT count() FROM actions"),
    ],
)
def test_an_alert_sums_what_the_actions_say(filled: Store, uid: str, truth: str) -> None:
    (rule,) = [rule for rule in RULES if rule["uid"] == uid]
    asks = rule["data"][0]
    told = asked(filled, grafana.on_server(asks["model"]["rawSql"], TIMES))
    assert sum(row[asks["refId"]] for row in told) == filled.query(truth).rows[0][0] > 0


def test_nothing_received_is_zero_where_nothing_ended(filled: Store) -> None:
    (rule,) = [rule for rule in RULES if rule["uid"] == "fanlight-nothing-received"]
    later = TimeRange(TIMES.to_s + 10**6, TIMES.to_s + 10**6 + 1800)
    assert filled.query(grafana.on_server(rule["data"][0]["model"]["rawSql"], later)).rows == [(0,)]
