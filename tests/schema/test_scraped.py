"""Windows of engines and the supply of GPUs are what an independent computation makes of the samples."""

import itertools
import json
import math
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from fanlight_schema.store import Store

BEGIN = datetime(2026, 11, 1, 10, 58, tzinfo=timezone.utc)
EVERY_S = 5.0
COUNTERS = (
    "input_tokens",
    "cached_tokens",
    "uncached_tokens",
    "output_tokens",
    "requests",
    "prefill_s",
    "decode_s",
)
Row = dict[str, Any]


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def moment(row: Row) -> datetime:
    return datetime.fromisoformat(row["scraped_at"])


def engine_samples(rng: random.Random) -> list[Row]:
    """Engines whose counters grow, are set back by restarts, or are not told; scrapes that fail; gaps."""
    rows = []
    for number in range(3):
        told = [name for name in COUNTERS if rng.random() < 0.8]
        at, last, counters = BEGIN, None, dict.fromkeys(told, 0.0)
        for _ in range(40):
            at += timedelta(seconds=EVERY_S if rng.random() < 0.9 else 60)
            if rng.random() < 0.1:
                counters = dict.fromkeys(told, 0.0)
            counters = {name: value + rng.randrange(50) for name, value in counters.items()}
            ok = rng.random() < 0.85
            window = (at - last).total_seconds() if ok and last and (at - last).total_seconds() < 13 else 0.0
            last = at if ok else last
            rows.append(
                {
                    "scraped_at": stamp(at),
                    "target": f"http://engine-{number}/metrics",
                    "engine": "vllm" if ok else "",
                    "model": "m",
                    "status": "ok" if ok else "unreachable",
                    "window_s": window,
                    **(counters if ok else {}),
                }
            )
    return rows


def gpu_samples(rng: random.Random) -> list[Row]:
    """GPUs of two kinds, some divided, some that do not tell whether they work, one that two scrapers ask."""
    rows = []
    for number in range(5):
        tells, share = number != 3, 3 / 7 if number == 4 else 1.0
        for step in range(60):
            for scraper, late_s in (("a", 0.0), ("b", 1.7)) if number == 2 else (("a", 0.3),):
                rows.append(
                    {
                        "scraped_at": stamp(BEGIN + timedelta(seconds=EVERY_S * step + late_s)),
                        "target": f"http://dcgm-{scraper}/metrics",
                        "gpu": f"GPU-{number}",
                        "hardware": ("H100 SXM", "H200 SXM")[number % 2],
                        "workload": ("serving", "training")[number == 1],
                        "region": "eu",
                        "model": "",
                        "window_s": 0.0 if step == 0 or rng.random() < 0.1 else EVERY_S,
                        "gpu_share": share,
                        "busy_share": rng.random() if tells and rng.random() < 0.9 else None,
                        "power_w": 100.0 * rng.random() if tells else None,
                    }
                )
    return rows


def by_hour(rows: list[Row]) -> Iterator[tuple[Row, str, float]]:
    """Each sample with the hours of its window, and its seconds there that lie in no window before."""
    until: dict[str, datetime] = {}
    for row in sorted(rows, key=moment):
        if row["window_s"]:
            ends = moment(row)
            begins = ends - timedelta(seconds=row["window_s"])
            begins = max(begins, until.get(row["gpu"], begins))
            until[row["gpu"]] = ends
            hour = ends.replace(minute=0, second=0, microsecond=0)
            if begins < hour:
                yield row, stamp(hour - timedelta(hours=1))[:13], (hour - begins).total_seconds()
            yield row, stamp(hour)[:13], (ends - max(begins, hour)).total_seconds()


def write(store: Store, rng: random.Random, table: str, rows: list[Row]) -> None:
    """In batches of any order, some of them twice."""
    batches = [rows[at : at + 17] for at in range(0, len(rows), 17)]
    batches += rng.sample(batches, len(batches) // 2)
    rng.shuffle(batches)
    for batch in batches:
        store.insert_bytes(table, "".join(json.dumps(row) + "\n" for row in batch).encode(), "JSONEachRow")


def expected_windows(rows: list[Row]) -> dict[tuple[str, str], Row]:
    windows = {}
    by_target: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["status"] == "ok":
            by_target[row["target"]].append(row)
    for target, told in by_target.items():
        for before, now in itertools.pairwise(told):
            if now["window_s"] > 0:
                done: Row = {}
                for name in COUNTERS:
                    if name not in now:
                        done[name] = None
                    else:
                        done[name] = now[name] if now[name] < before[name] else now[name] - before[name]
                if done["uncached_tokens"] is None and None not in (
                    done["input_tokens"],
                    done["cached_tokens"],
                ):
                    done["uncached_tokens"] = max(0, done["input_tokens"] - done["cached_tokens"])
                restarted = any(now[name] < before[name] for name in COUNTERS if name in now)
                windows[target, now["scraped_at"]] = {
                    **done,
                    "restarted": restarted,
                    "begins_at": before["scraped_at"],
                    "window_s": (moment(now) - moment(before)).total_seconds(),
                }
    return windows


@pytest.mark.parametrize("seed", range(3))
def test_a_window_is_the_difference_of_two_samples(store: Store, seed: int) -> None:
    rng = random.Random(seed)
    taken = engine_samples(rng)
    rows = [row for row in taken if rng.random() < 0.9]  # the others are lost on their way to the store
    assert len(rows) < len(taken)
    write(store, rng, "engine_samples", rows)
    columns = (*COUNTERS, "restarted", "begins_at", "window_s")
    found = {
        (row[0], row[1]): dict(zip(columns, row[2:], strict=True))
        for row in store.query(
            f"SELECT target, toString(ends_at), {', '.join(COUNTERS)},"
            " restarted, toString(begins_at), window_s FROM engine_windows"
        ).rows
    }
    expected = expected_windows(rows)
    assert len(expected) > 40
    assert any(window["restarted"] for window in expected.values())
    assert found == expected


@pytest.mark.parametrize("seed", range(3))
def test_held_seconds_are_busy_idle_or_unknown(store: Store, seed: int) -> None:
    rng = random.Random(seed)
    rows = gpu_samples(rng)
    write(store, rng, "gpu_samples", rows)
    names = (
        "allocated_gpu_seconds",
        "busy_gpu_seconds",
        "idle_gpu_seconds",
        "unknown_gpu_seconds",
        "energy_j",
        "gpus",
    )
    keys = ("hour", "hardware", "region", "workload", "model")
    sums: defaultdict[tuple[str, ...], Row] = defaultdict(
        lambda: {**dict.fromkeys(names[:5], 0.0), "gpus": set()}
    )
    for row, hour, seconds in by_hour(rows):
        one = sums[hour, row["hardware"], row["region"], row["workload"], row["model"]]
        held = seconds * row["gpu_share"]
        one["gpus"].add(row["gpu"])
        one["allocated_gpu_seconds"] += held
        if row["busy_share"] is None:
            one["unknown_gpu_seconds"] += held
        else:
            one["busy_gpu_seconds"] += held * row["busy_share"]
            one["idle_gpu_seconds"] += held * (1 - row["busy_share"])
        one["energy_j"] += seconds * (row["power_w"] or 0)
    told = store.query(
        f"SELECT formatDateTime(hour, '%Y-%m-%d %H'), {', '.join((*keys[1:], *names))} FROM gpu_supply_hourly"
    ).rows
    assert len(told) == len(sums) == 6
    for figures in told:
        wanted = sums[figures[:5]]
        for name, value in zip(names, figures[5:], strict=True):
            if name == "gpus":
                assert value == len(wanted["gpus"])
            elif value is None:
                assert wanted[name] == 0.0
            else:
                assert math.isclose(value, wanted[name], rel_tol=1e-9, abs_tol=1e-9), name
        allocated, busy, idle, unknown = figures[5:9]
        assert math.isclose(allocated, (busy or 0) + (idle or 0) + unknown, rel_tol=1e-9)
