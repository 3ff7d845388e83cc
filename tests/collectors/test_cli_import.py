"""`fanlight import`: what is good goes in, once; what is bad is named, and the exit code is 1."""

import gzip
import json
from pathlib import Path

import pytest

from fanlight_cli import run_cli
from running import running_up

ACTION = "a" * 32


def request(span: int, role: str, name: str, parent: int = 0, **attributes: str) -> str:
    """An OTLP request with one span of fanlight's own, begun 2026-11-01 00:00:00 UTC."""
    said = {
        "fanlight.role": role,
        "fanlight.action.id": ACTION,
        "fanlight.action.name": "ask",
        "fanlight.action.source": "declared",
        **attributes,
    }
    start = 1793491200 * 10**9 + span
    one = {
        "traceId": ACTION,
        "spanId": f"{span:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": name,
        "kind": 3,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 10**9),
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in said.items()],
    }
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"scope": {"name": "fanlight"}, "spans": [one]}]}]})


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A JSON file, a gzipped JSONL file and a broken one: two spans in all."""
    call = request(2, "call", "chat m", 1, **{"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"})
    (tmp_path / "one.json").write_text(request(1, "action", "ask", **{"user.id": "ada"}))
    (tmp_path / "two.jsonl.gz").write_bytes(gzip.compress(f"{call}\nno json\n{call}\n".encode()))
    (tmp_path / "bad.json").write_text('{"resourceSpans": [')
    return [str(tmp_path / name) for name in ("one.json", "two.jsonl.gz", "bad.json", "none.json")]


def test_into_a_folder_figures_are_there_when_it_ends_and_twice_is_once(
    tmp_path: Path, files: list[str]
) -> None:
    store = ("--store", str(tmp_path / "data"))
    for _ in range(2):
        result = run_cli("import", *files, *store, folder=tmp_path)
        assert result.returncode == 1
        assert "imported 3 spans from 3 files (3 OTLP messages)" in result.stdout
        problems = [line for line in result.stderr.splitlines() if line.startswith("not imported")]
        assert [Path(line.split(": ")[1].split(",")[0]).name for line in problems] == [
            "two.jsonl.gz",
            "bad.json",
            "none.json",
        ]
    sql = "SELECT action_name, user_id, model_calls, requests FROM actions"
    shown = run_cli("sql", sql, "-f", "json", *store, folder=tmp_path)
    assert json.loads(shown.stdout) == [
        {"action_name": "ask", "user_id": "ada", "model_calls": 1, "requests": 1}
    ]


def test_through_a_running_up_and_good_files_are_exit_code_0(tmp_path: Path, files: list[str]) -> None:
    with running_up(f"chdb://{tmp_path}/data", tmp_path) as up:
        result = run_cli("import", files[0], "--store", up.url, folder=tmp_path)
        assert (result.returncode, result.stderr) == (0, "")
        expected = [{"action_name": "ask", "user_id": "ada", "model_calls": 0}]
        up.settle()
        assert up.rows("SELECT action_name, user_id, model_calls FROM actions") == expected


BAD_SPANS = {
    "badid.json": (
        {"traceId": "abc0"},
        "whose trace id is not 32 hexadecimal digits, or only zeros (ask)",
    ),
    "nohex.json": ({"traceId": "xyz"}, "that cannot be read (traceId is not a hex string)"),
    "badparent.json": ({"parentSpanId": "ab"}, "whose parent's id is not 16 hexadecimal digits (ask)"),
    "old.json": ({"startTimeUnixNano": "1"}, "that starts before the year 2000 (ask)"),
}


def write_bad_spans(folder: Path) -> list[str]:
    for name, (change, _) in BAD_SPANS.items():
        document = json.loads(request(1, "action", "ask"))
        document["resourceSpans"][0]["scopeSpans"][0]["spans"][0].update(change)
        (folder / name).write_text(json.dumps(document))
    return [str(folder / name) for name in BAD_SPANS]


def test_a_span_that_cannot_be_stored_is_named_with_the_reason_and_the_exit_code_is_1(tmp_path: Path) -> None:
    bad = write_bad_spans(tmp_path)
    with running_up(f"chdb://{tmp_path}/data", tmp_path) as up:
        for store in (up.url, f"{tmp_path}/other"):
            result = run_cli("import", *bad, "--store", store, folder=tmp_path)
            assert result.returncode == 1
            assert "imported 0 spans from 4 files" in result.stdout
            expected = [
                f"not imported: {tmp_path}/{name}: 1 span {why}" for name, (_, why) in BAD_SPANS.items()
            ]
            assert result.stderr.splitlines() == expected


def test_a_dash_reads_stdin(tmp_path: Path) -> None:
    result = run_cli("import", "-", "--store", "data", folder=tmp_path, stdin=request(1, "action", "ask"))
    assert (result.returncode, result.stderr) == (0, "")
    assert "imported 1 span from 1 file (1 OTLP message)" in result.stdout


def test_where_no_file_is_there_nothing_is_made_and_one_line_says_so(tmp_path: Path) -> None:
    result = run_cli("import", "none.json", folder=tmp_path)
    assert (result.returncode, result.stderr) == (1, "fanlight: nothing imported: there is no none.json\n")
    assert not (tmp_path / "fanlight-data").exists()
