"""`fanlight schema` on a store that an OpenTelemetry Collector has filled."""

import json
from pathlib import Path

import pytest

import made_store
import otlp_json
from fanlight_cli import run_cli

START_NS = 1_795_400_000 * 10**9


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A folder with an exporter's tables: two calls, and a row without a trace id."""
    folder = tmp_path / "data"
    rows = [
        otlp_json.row(
            trace_id=f"{number:032x}" if number else "",
            span_id="00000000000000ab",
            start_ns=START_NS + number * 3_600 * 10**9,
            end_ns=START_NS + number * 3_600 * 10**9 + 10**9,
            attributes={"gen_ai.operation.name": "chat"},
        )
        for number in range(3)
    ]
    made_store.make(folder, rows=rows, exporter="json")
    return folder


def test_a_filled_store_is_adopted_filled_up_and_checked(filled: Path, tmp_path: Path) -> None:
    store = ("--store", str(filled))
    applied = run_cli("schema", "apply", *store, folder=tmp_path)
    assert applied.returncode == 0
    assert "otel_traces was there and stays as it is: attributes are JSON columns" in applied.stdout
    assert "3 spans of before are in no figure yet" in applied.stdout
    assert run_cli("schema", "status", *store, folder=tmp_path).returncode == 0
    filling = run_cli("schema", "apply", "--backfill", *store, folder=tmp_path)
    assert filling.stdout.splitlines()[-2:] == [
        "3 spans of before are counted, or will be in a few seconds",
        "not taken: 1 span, bad_trace_id (they are in ingest_rejects)",
    ]
    shown = run_cli("stats", "-f", "csv", *store, folder=tmp_path).stdout
    assert [line.split(",")[1] for line in shown.splitlines()] == ["actions", "2"]


def test_a_store_that_only_a_collector_filled_says_what_makes_the_tables(
    filled: Path, tmp_path: Path
) -> None:
    store = ("--store", str(filled))
    fix = f"no fanlight tables yet; run: fanlight schema apply --store chdb://{filled} (--backfill"
    for command, exit_code in ((("schema", "status"), 1), (("stats",), 2)):
        shown = run_cli(*command, *store, folder=tmp_path)
        assert (shown.returncode, shown.stdout, shown.stderr.count("\n")) == (exit_code, "", 1), command
        assert fix in shown.stderr
    found = run_cli("doctor", "-f", "json", *store, folder=tmp_path)
    told = [one["what"] for one in json.loads(found.stdout) if one["level"] == "wrong"]
    assert told == ["the store has no fanlight tables yet"]


def test_tables_of_another_build_say_how_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    edited = (
        "ALTER TABLE schema_migrations UPDATE checksum = 'x' WHERE version = 46 SETTINGS mutations_sync = 1"
    )
    made_store.make(folder, commands=[edited])
    shown = run_cli("schema", "status", "--store", str(folder), folder=tmp_path)
    assert shown.returncode == 1
    for step in ("go back to that one", "rollback-plan", "schema apply --backfill"):
        assert step in shown.stderr


def test_what_was_changed_by_hand_is_named_with_its_fix(filled: Path, tmp_path: Path) -> None:
    store = ("--store", str(filled))
    run_cli("schema", "apply", "--keep", "spans=400d", *store, folder=tmp_path)
    made_store.make(filled, commands=["DROP VIEW actions"])
    shown = run_cli("schema", "status", *store, folder=tmp_path)
    assert shown.returncode == 1
    assert "actions: missing; run: fanlight schema apply" in shown.stdout
    assert "0046 actions applied" in run_cli("schema", "apply", *store, folder=tmp_path).stdout


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        ("spans=400d", "spans is kept 400 days; 0 rows older than that will be dropped"),
        ("spans=forever", "spans is kept for good"),
    ],
)
def test_a_keep_says_what_it_drops(filled: Path, tmp_path: Path, keep: str, said: str) -> None:
    result = run_cli("schema", "apply", "--keep", keep, "--store", str(filled), folder=tmp_path)
    assert said in result.stdout.splitlines()


def test_a_keep_that_says_no_days_is_wrong_usage(tmp_path: Path) -> None:
    result = run_cli("schema", "apply", "--keep", "spans=long", folder=tmp_path)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "spans=400d" in result.stderr
    assert not (tmp_path / "fanlight-data").exists()


def test_a_rollback_plan_is_printed_and_not_run(tmp_path: Path) -> None:
    plan = run_cli("schema", "rollback-plan", "--to", "51", folder=tmp_path).stdout.splitlines()
    assert "DROP VIEW IF EXISTS gpu_demand_hourly;" in plan
    assert "DROP TABLE IF EXISTS spans;" not in plan
    assert not (tmp_path / "fanlight-data").exists()


def test_a_database_that_nothing_would_name_is_wrong_usage(tmp_path: Path) -> None:
    result = run_cli("schema", "sql", "--database", "otel", folder=tmp_path)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "--roles or --cluster" in result.stderr
