"""`fanlight stats` and `fanlight trace` on one real run of the demo's agent."""

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from demo_run import ACTIONS, DemoRun
from fanlight_cli import run_cli
from fanlight_collectors.cli.counting import uncounted_line, wait_until_counted
from fanlight_collectors.cli.errors import CommandError
from fanlight_collectors.cli.stats import parse_age, read_figures
from fanlight_collectors.cli.stats_sql import Scope, grouped_sql
from fanlight_collectors.cli.target import read_rows

FANOUT = [
    "actions",
    "calls",
    "requests",
    "fanout_mean",
    "fanout_p50",
    "fanout_p90",
    "fanout_p99",
    "fanout_max",
]
GPU = ["gpu_seconds", "gpu_seconds_low", "gpu_seconds_high", "gpu_method", "requests_unpriced"]
DIMENSIONS = ["action", "agent", "hour", "region"]


def stats(run: DemoRun, *arguments: str, columns: int | None = None) -> str:
    result = run_cli("stats", *arguments, "--store", run.up.url, folder=run.folder, columns=columns)
    assert result.returncode == 0, result.stderr
    return result.stdout


def nearest_rank(values: Sequence[int], share: float) -> int:
    """The smallest value with at least that share of the values at or below it."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def test_the_fanout_by_user_is_an_independent_computation_s_over_the_actions(demo_run: DemoRun) -> None:
    actions = demo_run.up.rows("SELECT user_id, requests FROM actions WHERE origin = 'user'")
    by_user: dict[str, list[int]] = {}
    for action in actions:
        by_user.setdefault(action["user_id"], []).append(action["requests"])
    shown = {row["user_id"]: row for row in json.loads(stats(demo_run, "--by", "user", "-f", "json"))}
    assert set(shown) == set(by_user)
    for user, requests in by_user.items():
        row = shown[user]
        assert row["fanout_mean"] == sum(requests) / len(requests)
        found = [row[f"fanout_{name}"] for name in ("p50", "p90", "p99", "max")]
        assert found == [*(nearest_rank(requests, share) for share in (0.5, 0.9, 0.99)), max(requests)]


@pytest.mark.parametrize("by", DIMENSIONS)
def test_json_and_csv_say_the_same_with_full_names(demo_run: DemoRun, by: str) -> None:
    objects = json.loads(stats(demo_run, "--by", by, "-f", "json"))
    rows = list(csv.DictReader(io.StringIO(stats(demo_run, "--by", by, "-f", "csv"))))
    assert [list(one) for one in objects] == [list(row) for row in rows]
    assert len(objects) > 0
    assert set(GPU) <= set(objects[0])
    assert [str(one["requests"]) for one in objects] == [row["requests"] for row in rows]


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("by", ["model"])
def test_the_table_fits_and_begins_with_the_headline(demo_run: DemoRun, by: str, columns: int) -> None:
    lines = stats(demo_run, "--by", by, columns=columns).splitlines()
    assert max(map(len, lines)) <= columns
    assert re.fullmatch(r"Fan-out [\d.,]+ requests per user action", lines[0])
    assert lines[1].startswith(f"  {ACTIONS - 1} actions, ")
    assert any("not in these figures: 1 more" in line for line in lines)


def test_show_sql_prints_a_statement_that_gives_the_same_rows(demo_run: DemoRun) -> None:
    shown = stats(demo_run, "--by", "user", "--show-sql")
    statement = shown[shown.index("SELECT") :]
    assert demo_run.up.rows(statement) == json.loads(stats(demo_run, "--by", "user", "-f", "json"))


def test_since_leaves_out_what_began_before(demo_run: DemoRun) -> None:
    assert json.loads(stats(demo_run, "--since", "1h", "-f", "json")) != []
    assert stats(demo_run, "--since", "1s").startswith("no actions in that time")
    assert json.loads(stats(demo_run, "--since", "1s", "-f", "json")) == []


@pytest.mark.parametrize("text", ["7", "0d", "-1d", "7 days", "d", "", "1y"])
def test_an_age_that_makes_no_sense_is_refused_with_examples(text: str) -> None:
    with pytest.raises(CommandError, match="for example 30m") as refused:
        parse_age(text)
    assert refused.value.exit_code == 2


def trace(run: DemoRun, *arguments: str, columns: int | None = None) -> str:
    result = run_cli("trace", *arguments, "--store", run.up.url, folder=run.folder, columns=columns)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_trace_all_shows_every_span_of_the_action_once(demo_run: DemoRun) -> None:
    [deep] = demo_run.up.rows("SELECT action_id, requests FROM actions WHERE action_name = 'deep_research'")
    [spans] = demo_run.up.rows(
        f"SELECT count() AS spans FROM spans FINAL WHERE lower(hex(action_id)) = '{deep['action_id']}'"
    )
    lines = trace(demo_run, deep["action_id"], "--all").splitlines()
    assert "deep_research of dee" in lines[0]
    assert f"{deep['requests']} requests" in lines[1]
    tree = [line for line in lines if line.startswith(("action", "└", "├", "│", " "))]
    assert len(tree) == spans["spans"]
    assert any("try 1  HTTP 429" in line for line in tree)


def test_trace_is_bounded_and_fits_the_terminal(demo_run: DemoRun) -> None:
    [deep] = demo_run.up.rows("SELECT action_id FROM actions WHERE action_name = 'deep_research'")
    shown = trace(demo_run, deep["action_id"][:16], "--limit", "20", columns=80)
    assert max(map(len, shown.splitlines())) <= 80
    assert "spans not shown (--all shows them)" in shown


@pytest.mark.parametrize(
    ("prefix", "code", "says"), [("ffffffffffffffff0", 1, "no action"), ("xyz", 2, "hexadecimal")]
)
def test_an_id_that_is_none_is_one_line(demo_run: DemoRun, prefix: str, code: int, says: str) -> None:
    result = run_cli("trace", prefix, "--store", demo_run.up.url, folder=demo_run.folder)
    assert (result.returncode, result.stderr.count("\n")) == (code, 1)
    assert says in result.stderr


def test_digits_that_begin_several_ids_list_them(demo_run: DemoRun, tmp_path: Path) -> None:
    rows = demo_run.up.rows(
        "SELECT substring(action_id, 1, 1) AS digit, count() AS n FROM actions GROUP BY digit"
    )
    shared = next((row["digit"] for row in rows if row["n"] > 1), None)
    if shared is None:
        return  # fourteen random ids that all begin differently
    result = run_cli("trace", shared, "--store", demo_run.up.url, folder=tmp_path)
    assert result.returncode == 1
    assert "give more digits" in result.stderr
    assert len(result.stderr.splitlines()) >= 3


class ScriptedReader:
    """Answers with the rows that a test says, by a word in the statement; the last answer stays."""

    shown = "a store"

    def __init__(self, **answers: list[list[dict[str, object]]]) -> None:
        self.answers = answers

    def query_bytes(self, sql: str, output_format: str) -> bytes:
        kind = next(
            kind
            for kind, word in (
                ("marks", "toString(mark)"),
                ("uncounted", "touched"),
                ("unpriced", "has_rates"),
                ("rows", "GROUP BY"),
                ("headline", "fanout_mean"),
                ("everything", "FROM actions"),
            )
            if word in sql
        )
        answers = self.answers[kind]
        rows = answers.pop(0) if len(answers) > 1 else answers[0]
        names = list(rows[0]) if rows else ["none"]
        types = [
            "String" if isinstance(value, str) else "UInt64" for value in (rows or [{"none": ""}])[0].values()
        ]
        meta = [{"name": name, "type": kind} for name, kind in zip(names, types, strict=True)]
        return json.dumps({"meta": meta, "data": [list(row.values()) for row in rows]}).encode()

    def close(self) -> None:
        pass


def test_headline_and_table_are_read_again_until_they_are_of_one_moment() -> None:
    new: dict[str, object] = {"actions": 1, "requests": 5, "requests_unpriced": 5}
    reader = ScriptedReader(
        marks=[[]],
        headline=[[{"actions": 0, "requests": None}], [new]],
        rows=[[{"action_name": "ask", **new}]],
        everything=[[{"actions": 1}]],
        unpriced=[
            [{"model": "gpt-x", "requests": 4, "has_rates": 0}, {"model": "m", "requests": 1, "has_rates": 1}]
        ],
    )
    reading = read_figures(reader, "action", Scope())
    assert (reading.headline, reading.everything, reading.uncounted) == (new, 1, 0)
    assert reading.unpriced.startswith("gpt-x: no rate card")
    assert reading.unpriced.endswith("m: tokens unknown")


def test_spans_that_are_not_counted_yet_are_waited_for_but_not_those_that_come_meanwhile() -> None:
    marks: list[list[dict[str, object]]] = [[{"mark": name}] for name in "aab"]
    reader = ScriptedReader(marks=marks, uncounted=[[{"n": 1}]])
    assert wait_until_counted(reader) == 1
    assert len(reader.answers["marks"]) == 1
    assert wait_until_counted(reader, timeout_s=0) == 1
    assert uncounted_line(1).startswith("1 trace has spans that are not counted yet")


def test_what_refused_requests_cost_is_not_the_figure_of_a_model_without_a_price(demo_run: DemoRun) -> None:
    scope = Scope(origin=None)
    for by in ("action", "model"):
        with closing(demo_run.up.reader()) as reader:
            rows = read_rows(reader, grouped_sql(by, scope)).objects()
        assert rows
        for row in rows:
            unknown = row["gpu_seconds"] is None
            assert unknown == (row["gpu_method"] == "unknown")
            assert unknown or row["gpu_seconds_high"] or not row["requests_unpriced"]
