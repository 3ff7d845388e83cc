"""Every view gives what an independent count over the distinct spans gives, however the spans arrived."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import exact_figures
import hostile_delivery
import killed_writer
import random_cascades
import reference_views
from fanlight_schema import refresh
from fanlight_schema.store import Store

few = settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
many = settings(few, max_examples=40, derandomize=False)
FIGURES = ("action_id", "action_name", "user_id", "model_calls", "requests", "input_tokens", "depth", "spans")
ROOT = Path(__file__).resolve().parents[2]


@few
@given(seed=st.integers(0, 2**32))
@example(seed=349)  # two spans of one call that begin at once: the one is no earlier call of the other
def test_any_delivery_of_any_cascades_gives_the_same_exact_figures(embedded_store: Store, seed: int) -> None:
    deliver_and_compare(embedded_store, seed)


def test_a_server_gives_the_same_exact_figures(server_store: Store) -> None:
    deliver_and_compare(server_store, 11)


@pytest.mark.slow
@many
@given(seed=st.integers(0, 2**32))
def test_many_deliveries_to_the_embedded_engine_are_exact(embedded_store: Store, seed: int) -> None:
    deliver_and_compare(embedded_store, seed)


@pytest.mark.slow
@many
@given(seed=st.integers(0, 2**32))
def test_many_deliveries_to_a_server_are_exact(server_store: Store, seed: int) -> None:
    deliver_and_compare(server_store, seed)


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 12))])
def test_a_store_killed_between_insert_and_figures_loses_and_doubles_nothing(
    tmp_path: Path, seed: int
) -> None:
    run_killed_writer(tmp_path, seed, "die")
    figures = run_killed_writer(tmp_path, seed, "go-on", f"SELECT {', '.join(FIGURES)} FROM actions")
    rows = [row for batch in killed_writer.batches(seed) for row in batch]
    expected = reference_views.views(rows, reference_views.Prices({}))["actions"]
    found = [json.loads(line) for line in figures]
    assert sorted(found) == sorted([row[name] for name in FIGURES] for row in expected)


def run_killed_writer(folder: Path, seed: int, *arguments: str) -> list[str]:
    roots = [str(ROOT / name) for name in ("schema", "collectors", "tracer", "tests/support")]
    done = subprocess.run(
        [sys.executable, killed_writer.__file__, str(folder / "store"), str(seed), *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(roots)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == (-9 if arguments[0] == "die" else 0), done.stderr
    return done.stdout.splitlines()


def deliver_and_compare(store: Store, seed: int) -> None:
    for table in (
        "otel_traces",
        "spans",
        "trace_index",
        "action_traces",
        "touched",
        "picked",
        "cascades",
        "demand_hours",
    ):
        store.command(f"TRUNCATE TABLE {table}")
    rng = random.Random(seed)
    complete = random_cascades.rows(rng, cascades=10)
    hostile_delivery.deliver(store, rng, random_cascades.deliveries(rng, complete))
    refresh.settle(store, timeout_s=60)
    exact_figures.assert_exact(store, complete)
