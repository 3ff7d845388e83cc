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
from serving import eventually

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


def a_span(trace_id: int, span_id: int, parent: int, kind: int, **attributes: str | int) -> dict[str, object]:
    """A span in OTLP/JSON, begun 2026-11-01 00:00:00 UTC."""
    said = [
        {"key": key, "value": {"intValue" if isinstance(value, int) else "stringValue": value}}
        for key, value in attributes.items()
    ]
    ids = {"traceId": f"{trace_id:032x}", "spanId": f"{trace_id * 16 + span_id:016x}"}
    if parent:
        ids["parentSpanId"] = f"{trace_id * 16 + parent:016x}"
    times = {"startTimeUnixNano": str(1793491200 * 10**9), "endTimeUnixNano": str(1793491201 * 10**9)}
    return {**ids, "name": "chat m", "kind": kind, **times, "attributes": said}


CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}


def call_span(trace_id: int, *, requests: int = 1, parent: bool = False) -> dict[str, object]:
    role: dict[str, str | int] = {"fanlight.role": "call", "fanlight.requests": requests}
    return a_span(trace_id, 2, 1 if parent else 0, 3, **CHAT, **role)


def try_span(trace_id: int, resend: int) -> dict[str, object]:
    role: dict[str, str | int] = {"fanlight.role": "request", "http.request.resend_count": resend}
    return a_span(trace_id, 3 + resend, 2, 3, **CHAT, **role)


def server_span(trace_id: int) -> dict[str, object]:
    return a_span(trace_id, 1, 0, 2, **{"http.request.method": "POST"})


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


def test_tokens_that_were_estimated_are_said_beside_their_sums(demo_run: DemoRun) -> None:
    """One reader of the demo leaves its stream; a stream's usage comes with its end."""
    shown = stats(demo_run, "--by", "model")
    [calls] = demo_run.up.rows("SELECT count() AS n FROM model_calls WHERE origin = 'user'")
    assert f"the tokens of 1 of {calls['n']} calls are estimated" in shown
    [left] = demo_run.up.rows("SELECT action_id FROM actions WHERE action_name = 'changed_mind'")
    assert re.search(r"tokens in, \d+ out \(of 1 call estimated\); GPU", trace(demo_run, left["action_id"]))


def test_figures_of_no_action_are_none_and_the_options_that_show_more_do(demo_run: DemoRun) -> None:
    nothing, hint, *_ = stats(demo_run, "--workload", "eval").splitlines()
    assert nothing == "no actions of origin user and workload eval"
    assert hint == (
        f"not in these figures: {ACTIONS} more of other origins or workloads (--origin all --workload all)"
    )
    assert "(--workload all)" in stats(demo_run, "--workload", "eval", "--origin", "all")
    everything = stats(demo_run, "--workload", "all", "--origin", "all").splitlines()
    assert re.fullmatch(r"Fan-out [\d.,]+ requests per action", everything[0])
    assert not any("not in these figures" in line for line in everything)


def test_calls_outside_any_action_are_said_to_be_actions_of_their_own(
    demo_run: DemoRun, tmp_path: Path
) -> None:
    """Three spans as of three calls that a program makes outside any action, one of them with a retry."""
    assert "outside any fanlight.action" not in stats(demo_run)
    spans = [call_span(1), call_span(2), call_span(3, requests=2), try_span(3, 0), try_span(3, 1)]
    spans += [server_span(4), call_span(4, parent=True)]
    request = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "fanlight"}, "spans": spans}]}]}
    (tmp_path / "calls.json").write_text(json.dumps(request))
    assert run_cli("import", "calls.json", "--store", "data", folder=tmp_path).returncode == 0
    shown = run_cli("stats", "--store", "data", folder=tmp_path).stdout
    assert "3 actions are single calls outside any fanlight.action(); each counts as" in shown
    assert "  4 actions, 4 calls, 5 requests\n" in shown


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


def test_trace_marks_the_critical_path_and_says_what_it_went_on(demo_run: DemoRun) -> None:
    [deep] = demo_run.up.rows("SELECT action_id FROM actions WHERE action_name = 'deep_research'")
    asked = f"SELECT critical_spans, width FROM cascade_shapes WHERE action_id = '{deep['action_id']}'"
    eventually(lambda: demo_run.up.rows(asked), within_s=120)
    [shape] = demo_run.up.rows(asked)
    shown = trace(demo_run, deep["action_id"], "--all")
    assert sum("  *" in line for line in shown.splitlines()) == shape["critical_spans"]
    words = " ".join(shown.split())
    assert "critical path (*): " in words
    assert f"at most {shape['width']} calls at once" in words


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


def test_figures_in_seconds_of_another_gpu_are_their_factor_less_and_so_is_its_share(
    demo_run: DemoRun, tmp_path: Path
) -> None:
    [gpu] = demo_run.up.rows("SELECT reference_factor FROM gpu_hardware WHERE hardware = 'B200 SXM'")
    plain, other = (
        json.loads(stats(demo_run, "--by", "user", "--since", "4w", "-f", "json", *more))
        for more in ([], ["--reference-gpu", "b200"])
    )
    window_s = 28 * 86_400
    for one, two in zip(plain, other, strict=True):
        for bound in ("", "_low", "_high"):
            seconds = one[f"gpu_seconds{bound}"]
            assert one[f"reference_gpus{bound}"] == (seconds and pytest.approx(seconds / window_s))
            for name in ("gpu_seconds", "reference_gpus"):
                wanted = one[f"{name}{bound}"]
                assert two[f"{name}{bound}"] == (wanted and pytest.approx(wanted / gpu["reference_factor"]))
    assert any(one["reference_gpus"] for one in plain)
    shown = stats(demo_run, "--by", "user", "--since", "4w", "--reference-gpu", "B200", columns=80)
    number = r"[\d.e,-]+"
    assert re.search(rf"{number} \({number} to {number}\) of one B200 SXM kept busy over 28 d 0 h", shown)
    assert "share of one B200 SXM" in shown
    assert max(map(len, shown.splitlines())) <= 80
    unknown = run_cli(
        "stats", "--reference-gpu", "H", "--store", demo_run.up.url, folder=tmp_path
    )  # of several
    assert unknown.returncode == 2
    assert 'fanlight: --reference-gpu "H" may be' in unknown.stderr


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
