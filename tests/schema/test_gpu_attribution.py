"""Busy time of GPUs is shared out over calls as an independent computation in fractions does it.

Random engines, replicas, GPUs, instances, gaps and restarts, calls of ours and other people's load, written
in any order and twice. The figures of each minute are computed anew here, from the rows that were written.
"""

import itertools
import json
import math
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from fractions import Fraction
from typing import Any, TypeAlias

import pytest

import otlp_json
from fanlight_schema import measured, refresh
from fanlight_schema.gpu import seeds
from fanlight_schema.gpu.sharing import share_ns
from fanlight_schema.store import Store

BEGIN_MS = 1_793_530_790_000  # ten seconds before a minute
MINUTE_MS = 60_000
EVERY_MS = 5_000
STEPS = 44
MODEL = "qwen3-32b"
Row: TypeAlias = dict[str, Any]
Minute: TypeAlias = int


@dataclass
class Made:
    """What was written."""

    engines: list[Row] = field(default_factory=list)
    gpus: list[Row] = field(default_factory=list)
    calls: list[Row] = field(default_factory=list)


def stamp(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def engine(
    made: Made, rng: random.Random, target: str, host: str, gpu_ids: list[str], *, fails: bool
) -> None:
    """One replica; where it `fails`, it restarts once and is not seen for a while."""
    counters = {"input_tokens": 0, "cached_tokens": 0, "output_tokens": 0, "requests": 0}
    restart, gap = (rng.randrange(5, 15), rng.randrange(20, 30)) if fails else (-1, -1)
    for step in range(STEPS):
        if step == restart:
            counters = dict.fromkeys(counters, 0)
        requests = rng.randrange(3)
        counters["requests"] += requests
        counters["input_tokens"] += requests * rng.randrange(100, 900)
        counters["cached_tokens"] = min(
            counters["input_tokens"], counters["cached_tokens"] + requests * rng.randrange(50)
        )
        counters["output_tokens"] += requests * rng.randrange(10, 400)
        if step in (gap, gap + 1, gap + 2):
            continue
        made.engines.append(
            {
                "scraped_at": stamp(BEGIN_MS + step * EVERY_MS),
                "at_ms": BEGIN_MS + step * EVERY_MS,
                "target": target,
                "engine": "vllm",
                "model": MODEL,
                "status": "ok",
                "window_s": 0.0 if step in (0, gap + 3) else EVERY_MS / 1000,
                "server_address": host,
                "gpu_ids": gpu_ids,
                **counters,
            }
        )


def gpu(
    made: Made, rng: random.Random, name: str, *, share: float = 1.0, pod: str = "", lost: bool = False
) -> None:
    """One GPU, asked by two scrapers; where it is `lost`, nobody saw it for a while."""
    for step in range(STEPS + 1):
        busy = round(rng.random(), 3)
        if lost and step in range(15, 20):
            continue
        for scraper, delay_ms in (("a", 700), ("b", 2_700)):
            made.gpus.append(
                {
                    "scraped_at": stamp(BEGIN_MS + step * EVERY_MS + delay_ms),
                    "at_ms": BEGIN_MS + step * EVERY_MS + delay_ms,
                    "target": f"http://dcgm-{scraper}/metrics",
                    "gpu": name,
                    "pod": pod,
                    "hardware": "H100 SXM",
                    "window_s": 0.0 if step == 0 or (lost and step == 20) else EVERY_MS / 1000,
                    "gpu_share": share,
                    "busy_share": busy,
                }
            )


def call(made: Made, rng: random.Random, host: str) -> None:
    began = BEGIN_MS * 10**6 + rng.randrange(STEPS * EVERY_MS * 10**6)
    took = rng.choice([0, rng.randrange(10**9), rng.randrange(90 * 10**9)])
    first = rng.choice([None, 0, rng.randrange(took + 1), took])
    made.calls.append(
        {
            "number": len(made.calls) + 1,
            "began": began,
            "took": took,
            "first": None if first is None else first // 10**6 * 10**6,
            "host": host,
            "input": rng.randrange(1, 4000),
            "cached": 0,
            "output": rng.randrange(1, 900),
        }
    )
    made.calls[-1]["cached"] = rng.randrange(made.calls[-1]["input"])


def make(seed: int) -> Made:
    rng = random.Random(seed)
    made = Made()
    engine(made, rng, "http://one/metrics", "alone", ["GPU-1", "GPU-2"], fails=False)
    engine(made, rng, "http://two-a/metrics", "pair", ["GPU-3/1"], fails=False)
    engine(made, rng, "http://two-b/metrics", "pair", ["pod:two-b"], fails=bool(seed % 2))
    engine(made, rng, "http://left/metrics", "left", ["GPU-6"], fails=False)
    engine(made, rng, "http://right/metrics", "right", ["GPU-6"], fails=False)
    engine(made, rng, "http://dark/metrics", "dark", ["GPU-7", "GPU-never-seen"], fails=False)
    engine(made, rng, "http://untold/metrics", "untold", [], fails=False)
    gpu(made, rng, "GPU-1")
    gpu(made, rng, "GPU-2", lost=seed == 2)
    gpu(made, rng, "GPU-3/1", share=3 / 7)
    gpu(made, rng, "GPU-4", pod="two-b")
    gpu(made, rng, "GPU-5", pod="two-b")
    gpu(made, rng, "GPU-6")
    gpu(made, rng, "GPU-7")
    for _ in range(60):
        call(made, rng, rng.choice(["alone", "pair", "left", "right", "dark", "untold", "elsewhere"]))
    return made


def spans(made: Made) -> list[Row]:
    """Each call is an action of its own user."""
    rows = []
    for one in made.calls:
        attributes = {
            "fanlight.role": "call",
            "fanlight.wire": "true",
            "fanlight.requests": "1",
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": MODEL,
            "server.address": one["host"],
            "gen_ai.usage.input_tokens": str(one["input"]),
            "gen_ai.usage.cache_read.input_tokens": str(one["cached"]),
            "gen_ai.usage.output_tokens": str(one["output"]),
            "user.id": f"user-{one['number']}",
        }
        if one["first"] is not None:
            attributes["gen_ai.response.time_to_first_chunk"] = str(one["first"] / 1e9)
        rows.append(
            otlp_json.row(
                trace_id=f"{one['number']:032x}",
                span_id=f"{one['number']:016x}",
                start_ns=one["began"],
                end_ns=one["began"] + one["took"],
                attributes=attributes,
            )
        )
    return rows


def write(store: Store, rng: random.Random, made: Made) -> None:
    for table, rows in (("engine_samples", made.engines), ("gpu_samples", made.gpus)):
        told = [{key: value for key, value in row.items() if key != "at_ms"} for row in rows]
        batches = [told[at : at + 23] for at in range(0, len(told), 23)]
        batches += rng.sample(batches, len(batches) // 2)
        rng.shuffle(batches)
        for batch in batches:
            text = "".join(json.dumps(row) + "\n" for row in batch)
            store.insert_bytes(table, text.encode(), "JSONEachRow")
    rows = spans(made)
    rng.shuffle(rows)
    for batch in (rows[:20], rows[20:], rows[:9]):
        store.insert("otel_traces", otlp_json.columns(batch))
    refresh.settle(store, timeout_s=60)


def minutes_of(begins: int, ends: int, length: int) -> Iterator[tuple[Minute, int]]:
    """The minutes that an interval touches, each with how much of it lies there."""
    for minute in range(begins // length, (ends - 1) // length + 1):
        yield minute, min(ends, (minute + 1) * length) - max(begins, minute * length)


def busy_of_gpus(made: Made) -> dict[tuple[Minute, str], int | None]:
    """Busy ns of each GPU and minute; None where it was not seen for a second or longer."""
    seen: defaultdict[tuple[Minute, str], int] = defaultdict(int)
    busy: defaultdict[tuple[Minute, str], int] = defaultdict(int)
    by_gpu: defaultdict[str, list[Row]] = defaultdict(list)
    for row in made.gpus:
        if row["window_s"]:
            by_gpu[row["gpu"]].append(row)
    for name, rows in by_gpu.items():
        before = 0
        for row in sorted(rows, key=lambda row: row["at_ms"]):
            begins = max(before, row["at_ms"] - EVERY_MS)
            before = row["at_ms"]
            for minute, part in minutes_of(begins, row["at_ms"], MINUTE_MS):
                seen[minute, name] += part
                busy[minute, name] += round(row["busy_share"] * row["gpu_share"] * part * 1e6)
    return {key: busy[key] if part >= MINUTE_MS - 1000 else None for key, part in seen.items()}


Told: TypeAlias = list[Fraction]  # requests, uncached, cached, output tokens


def told_by_replicas(made: Made) -> dict[tuple[Minute, str], Told | None]:
    """What each replica's counters tell of each minute; None where it was not seen whole, [] if restarted."""
    by_target: defaultdict[str, list[Row]] = defaultdict(list)
    for row in made.engines:
        by_target[row["target"]].append(row)
    seen: defaultdict[tuple[Minute, str], int] = defaultdict(int)
    sums: defaultdict[tuple[Minute, str], Told] = defaultdict(lambda: [Fraction(0)] * 4)
    restarted: set[tuple[Minute, str]] = set()
    names = ("requests", "input_tokens", "cached_tokens", "output_tokens")
    for target, rows in by_target.items():
        for before, now in itertools.pairwise(rows):
            if not now["window_s"]:
                continue
            done = [now[name] - before[name] for name in names]
            done[1] = max(0, done[1] - done[2])
            for minute, part in minutes_of(before["at_ms"], now["at_ms"], MINUTE_MS):
                seen[minute, target] += part
                if any(now[name] < before[name] for name in names):
                    restarted.add((minute, target))
                share = Fraction(part, now["at_ms"] - before["at_ms"])
                sums[minute, target] = [
                    a + share * b for a, b in zip(sums[minute, target], done, strict=True)
                ]
    return {
        key: (None if part < MINUTE_MS - 1000 else [] if key in restarted else sums[key])
        for key, part in seen.items()
    }


def work_of(rates: list[Fraction], told: list[Fraction]) -> Fraction:
    """What counters weigh, the requests being alike."""
    requests, uncached, cached, output = told
    each = max(Fraction(1), requests)
    context = (uncached + cached) / each
    pairs = uncached * (cached + uncached / 2) / each
    reads = output * (context + output / each / 2)
    return sum(
        (
            rate * one
            for rate, one in zip(rates, [requests, uncached, cached, output, pairs, reads], strict=True)
        ),
        Fraction(0),
    )


def in_minutes(one: Row) -> dict[Minute, list[Fraction]]:
    """The six features of a call in each minute that it touches."""
    began, took, first = one["began"], one["took"], one["first"]
    prefill = (began, began + (took if first is None else min(first, took)))
    decode = (began if first is None else prefill[1], began + took)
    parts: list[dict[Minute, Fraction]] = []
    for begins, ends in (prefill, decode):
        length = MINUTE_MS * 10**6
        if begins == ends:
            at = begins if (begins, ends) == prefill else max(begins, began + 1) - 1
            parts.append({at // length: Fraction(1)})
        else:
            parts.append({m: Fraction(part, ends - begins) for m, part in minutes_of(begins, ends, length)})
    cached, output = Fraction(one["cached"]), Fraction(one["output"])
    uncached = one["input"] - cached
    pairs, reads = uncached * (cached + uncached / 2), output * (uncached + cached + output / 2)
    of_prefill = [Fraction(1), uncached, cached, Fraction(0), pairs, Fraction(0)]
    of_decode = [Fraction(0)] * 3 + [output, Fraction(0), reads]
    return {
        minute: [
            parts[0].get(minute, Fraction(0)) * a + parts[1].get(minute, Fraction(0)) * b
            for a, b in zip(of_prefill, of_decode, strict=True)
        ]
        for minute in parts[0].keys() | parts[1].keys()
    }


def expected(made: Made, rates: list[Fraction]) -> dict[tuple[Minute, str], tuple[int, dict[int, int], int]]:
    """Of each engine and minute: busy ns, ns of each call, ns of nobody."""
    worked, told = busy_of_gpus(made), told_by_replicas(made)
    holds: dict[str, list[str]] = {}
    hosts: dict[str, str] = {}
    for row in made.engines:
        hosts[row["target"]] = row["server_address"]
        holds[row["target"]] = [
            name for one in row["gpu_ids"] for name in (["GPU-4", "GPU-5"] if one == "pod:two-b" else [one])
        ]
    sharers = {
        name: [t for t in sorted(holds) if name in holds[t]] for names in holds.values() for name in names
    }
    figures: dict[tuple[Minute, str], tuple[int, dict[int, int], int]] = {}
    for minute in {minute for minute, _ in told}:
        for host in set(hosts.values()):
            replicas = [target for target in hosts if hosts[target] == host and (minute, target) in told]
            busy = 0
            whole = bool(replicas)
            for target in replicas:
                whole &= told[minute, target] is not None and bool(holds[target])
                for name in holds[target]:
                    one = worked.get((minute, name))
                    if one is None:
                        whole = False
                        continue
                    works = [
                        work_of(rates, told.get((minute, t)) or [Fraction(0)] * 4) for t in sharers[name]
                    ]
                    at = sharers[name].index(target)
                    if len(works) == 1:
                        busy += one
                    elif sum(works):
                        cuts = [int(one * sum(works[: n + 1]) / sum(works)) for n in range(len(works))]
                        busy += (one if at == len(works) - 1 else cuts[at]) - (cuts[at - 1] if at else 0)
                    else:
                        whole = False
            if not whole:
                continue
            sums = [told[minute, target] for target in replicas]
            mine = {
                one["number"]: in_minutes(one)[minute]
                for one in made.calls
                if one["host"] == host and minute in in_minutes(one)
            }
            if any(not one for one in sums):  # restarted: what others did is not known
                figures[minute, host] = (busy, {}, busy)
                continue
            traced = [sum((work[n] for work in mine.values()), Fraction(0)) for n in range(4)]
            others = [
                max(Fraction(0), sum((one[n] for one in sums if one), Fraction(0)) - traced[n])
                for n in range(4)
            ]
            works = {
                n: sum(rate * f for rate, f in zip(rates, work, strict=True)) for n, work in mine.items()
            }
            total = sum(works.values(), Fraction(0)) + work_of(rates, others)
            shares = share_ns(busy, [float(one) for one in works.values()], float(total))
            figures[minute, host] = (
                busy,
                dict(zip(works, shares.attributed_ns, strict=True)),
                shares.unattributed_ns,
            )
    return figures


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 10))]
)
def test_busy_time_is_shared_out_to_the_nanosecond(embedded_store: Store, seed: int) -> None:
    made = make(seed)
    write(embedded_store, random.Random(seed), made)
    rates = [
        Fraction(one)
        for one in embedded_store.query("SELECT rates FROM placed_rates WHERE server_address = 'alone'").rows[
            0
        ][0]
    ]
    figures = expected(made, rates)
    rows = embedded_store.query(
        "SELECT toUInt64(intDiv(toUnixTimestamp(minute), 60)), server_address, is_unattributed, user_id,"
        " busy_ns, gpu_ns, gpu_ns_low, gpu_ns_high FROM gpu_attribution"
    ).rows
    found: defaultdict[tuple[Minute, str], dict[str, tuple[int, int, int, int]]] = defaultdict(dict)
    for minute, host, nobody, user, *numbers in rows:
        assert (user == "") == nobody
        assert user not in found[minute, host]
        found[minute, host][user] = tuple(numbers)
    assert found.keys() == figures.keys()
    assert {host for _, host in figures} == {"alone", "pair", "left", "right"}
    for key, (busy, mine, nobody) in figures.items():
        one = found[key]
        assert {numbers[0] for numbers in one.values()} == {one[""][0]}
        assert one[""][0] == pytest.approx(busy, abs=2)
        assert sum(numbers[1] for numbers in one.values()) == one[""][0]  # exactly
        assert one.keys() == {"", *(f"user-{number}" for number in mine)}
        for number, ns in mine.items():
            _, value, low, high = one[f"user-{number}"]
            assert math.isclose(value, ns, rel_tol=1e-6, abs_tol=5)
            assert low <= value <= high
        assert math.isclose(one[""][1], nobody, rel_tol=1e-6, abs_tol=5 + len(mine))
    if seed % 2 == 0:
        assert any(mine and nobody for _, mine, nobody in figures.values())
    shared = [(found[key], found[key[0], "right"]) for key in figures if key[1] == "left"]
    held = busy_of_gpus(made)
    for left, right in shared:
        assert left[""][0] + right[""][0] in held.values()


def test_demand_of_a_measured_hour_is_what_its_gpus_worked(embedded_store: Store) -> None:
    made = make(0)
    write(embedded_store, random.Random(0), made)
    measured.price_hours(embedded_store)
    # No call of this engine lies outside the minutes that are known, so its hour is told to the nanosecond.
    worked = embedded_store.query(
        "SELECT sum(gpu_ns) / 1e9, sum(gpu_ns_low) / 1e9, sum(gpu_ns_high) / 1e9 FROM gpu_attribution"
        " WHERE server_address = 'alone' AND NOT is_unattributed"
    ).rows[0]
    demand = (
        "SELECT sum(gpu_seconds), sum(gpu_seconds_low), sum(gpu_seconds_high), uniqExact(gpu_method),"
        " any(gpu_method) FROM model_calls WHERE server_address = 'alone'"
    )
    assert embedded_store.query(demand).rows[0] == (
        *(pytest.approx(one, rel=1e-6) for one in worked),
        1,
        "measured",
    )
    shares = embedded_store.query(
        "SELECT sum(gpu_seconds * share_measured) FROM gpu_demand_by_user WHERE share_measured > 0"
    ).rows[0][0]
    assert shares == pytest.approx(
        embedded_store.query("SELECT sum(gpu_seconds) FROM model_calls WHERE gpu_method = 'measured'").rows[
            0
        ][0]
    )

    # Other engines and other hours have their placement's rates; what is known already is not written again.
    methods = dict(
        embedded_store.query("SELECT server_address, any(gpu_method) FROM model_calls GROUP BY ALL").rows
    )
    assert methods["dark"] == methods["untold"] == methods["elsewhere"] == "modelled"
    after = "SELECT gpu_method FROM gpu_rates FINAL WHERE server_address = 'alone' ORDER BY valid_from"
    assert embedded_store.query(after).rows == [("modelled",), ("measured",), ("modelled",)]
    written = embedded_store.query("SELECT count() FROM gpu_rates").rows
    measured.price_hours(embedded_store)
    refresh.price_now(embedded_store)
    assert embedded_store.query("SELECT count() FROM gpu_rates").rows == written

    # A better card weighs the work anew; the GPUs worked as long as they did.
    card = next(one for one in seeds.rate_cards() if (one.model, one.hardware) == ("Qwen3-32B", "H100 SXM"))
    dearer = replace(card, r_u=card.r_u * 3, method="calibrated")
    embedded_store.insert("gpu_rate_cards", seeds.columns([dearer]) | {"valid_from": [1_700_000_000]})
    refresh.price_now(embedded_store)
    measured.price_hours(embedded_store)
    # The hour after it has the new card.
    methods_then = [("calibrated",), ("measured",), ("calibrated",)]
    assert embedded_store.query(after).rows == [("modelled",), *methods_then]
    # The value moves with the weight of input tokens beside those of others, within what was busy.
    again = embedded_store.query(demand).rows[0]
    busy = embedded_store.query(
        "SELECT sum(gpu_ns) / 1e9 FROM gpu_attribution WHERE server_address = 'alone'"
    ).rows[0][0]
    assert again[0] <= busy
    assert again[4] == "measured"
    assert again[0] == pytest.approx(
        embedded_store.query(
            "SELECT sum(gpu_ns) / 1e9 FROM gpu_attribution"
            " WHERE server_address = 'alone' AND NOT is_unattributed"
        ).rows[0][0],
        rel=1e-6,
    )
