"""`fanlight doctor` on real stores: each thing that is wrong is found, with its fix and exit code."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

import made_store
import otlp_json
from fanlight_cli import run_cli
from fanlight_collectors.doctor import spool


def call(number: int, *, ago_s: float = 60, trace: int | None = None, **attributes: str) -> dict[str, Any]:
    start_ns = time.time_ns() - int(ago_s * 10**9)
    names = {name.replace("__", "."): value for name, value in attributes.items()}
    return otlp_json.row(
        trace_id=f"{trace or number:032x}",
        span_id=f"{number:016x}",
        start_ns=start_ns,
        end_ns=start_ns + 10**9,
        attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": "llama-3.1-8b-instruct"} | names,
    )


SOUND = {
    "fanlight__wire": "true",
    "fanlight__requests": "1",
    "gen_ai__usage__input_tokens": "9",
    "gen_ai__usage__output_tokens": "9",
}


def store_with(folder: Path, *rows: dict[str, Any]) -> str:
    """A data folder in which these spans are counted."""
    made_store.make(folder / "data", rows=rows)
    return str(folder / "data")


def asked(folder: Path, store: str) -> tuple[int, list[dict[str, str]]]:
    environment = {"FANLIGHT_SPOOL_DIR": str(folder / "no-spool")}
    done = run_cli("doctor", "--store", store, "-f", "json", folder=folder, environment=environment)
    return done.returncode, json.loads(done.stdout)


def test_a_sound_set_up_has_nothing_to_tell(tmp_path: Path) -> None:
    store = store_with(tmp_path, call(1, **SOUND))
    code, found = asked(tmp_path, store)
    assert (code, [one["level"] for one in found]) == (0, ["fine"])


def test_a_store_without_a_span_says_how_to_send_one(tmp_path: Path) -> None:
    code, found = asked(tmp_path, store_with(tmp_path))
    assert (code, found[0]["level"], found[0]["what"]) == (1, "wrong", "no span has arrived")
    assert "fanlight run" in found[0]["fix"]


def test_actions_whose_shapes_nobody_computes_are_told(tmp_path: Path) -> None:
    data = store_with(tmp_path, call(1, **SOUND))
    older = "INSERT INTO shape_marks SELECT action_id, build - 660000000, hour, spans, 1 FROM shape_marks"
    made_store.make(Path(data), commands=[older])
    code, found = asked(tmp_path, data)
    assert (code, [one["level"] for one in found]) == (0, ["watch"])
    assert found[0]["what"].startswith("1 actions have waited more than 10 minutes for their shapes")
    assert "fanlight up" in found[0]["fix"]


def test_everything_that_is_wrong_is_found_at_once(tmp_path: Path) -> None:
    odd = call(9, **SOUND) | {"TraceId": "no id"}
    store = store_with(
        tmp_path,
        odd,
        call(1, trace=1, user__id="ann", **SOUND),
        call(2, trace=1, user__id="bob", fanlight__dropped_spans="7", **SOUND),
        call(3, ago_s=-1_800, gen_ai__request__model="gpt-secret", gen_ai__usage__inputs="9"),
    )
    code, found = asked(tmp_path, store)
    levels = [(one["level"], one["what"]) for one in found]
    assert code == 1
    for level, part in (
        ("wrong", "1 spans or bodies: bad_trace_id (service test)"),
        ("wrong", "7 spans of 1 actions were lost"),
        ("wrong", "1 actions name more than one user"),
        ("wrong", "1 actions end in the future"),
        ("watch", "33 % of the requests are assumed"),
        ("watch", "1 actions have calls whose tokens nobody reported"),
        ("watch", "gpt-secret"),
        ("watch", "not understood: gen_ai.usage.inputs (test)"),
    ):
        assert any(one == level and part in what for one, what in levels), (part, levels)
    assert all(one["fix"] for one in found)


def test_a_store_of_another_schema_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    store = store_with(tmp_path)
    older = ["DELETE FROM schema_migrations WHERE version > 50", "DROP VIEW gpu_demand_hourly"]
    made_store.make(Path(store), commands=older)
    code, found = asked(tmp_path, store)
    assert (code, len(found)) == (1, 1)
    assert "fanlight schema apply" in found[0]["fix"]


def test_tables_and_views_that_somebody_dropped_are_named(tmp_path: Path) -> None:
    store = store_with(tmp_path)
    made_store.make(Path(store), commands=["DROP VIEW gpu_supply_hourly", "DROP TABLE engine_samples"])
    code, found = asked(tmp_path, store)
    assert (code, len(found)) == (1, 1)
    assert found[0]["what"] == "2 tables and views are missing: engine_samples, gpu_supply_hourly"
    assert "fanlight schema apply" in found[0]["fix"]


def test_no_store_is_exit_code_2(tmp_path: Path) -> None:
    result = run_cli("doctor", "--store", "clickhouse://127.0.0.1:9/x", folder=tmp_path)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "cannot be reached" in result.stderr


@pytest.mark.parametrize(("age_s", "told"), [(30.0, 0), (3_600.0, 1)])
def test_spans_that_dead_processes_left_for_long_are_told(tmp_path: Path, age_s: float, told: int) -> None:
    left = tmp_path / "123.spool"
    left.write_bytes(b"x" * 40)
    os.utime(left, (time.time() - age_s,) * 2)
    found = list(spool.findings(tmp_path))
    assert [one.level for one in found] == ["wrong"] * told
    assert all("40 bytes" in one.what for one in found)
