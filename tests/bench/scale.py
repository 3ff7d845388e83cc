"""Public views and dashboards on 20 million spans, and on a tenth: exact, how fast, how large, at what cost.

    python tests/bench/scale.py [--spans 20000000] [--folder .cache/bench-scale] [--repeats 5] [--json PATH]

ClickHouse writes the spans itself (scale_spans.py), insert and build in turn. What the views count
is compared with what is true of the spans, and answers with those of plain otel_traces. `warm` is
the best of the repeats; `plan` is the best EXPLAIN, which is part of it and the same on any number of
spans; `cold` is the first after the store's files left the page cache and its caches were dropped. A
folder that is complete is measured again without writing it anew.
"""

import argparse
import json
import math
import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import report
import scale_spans
import support_path  # noqa: F401
from scale_dashboards import dashboard_questions
from scale_questions import Question, questions, whole_views
from scale_truth import check

from fanlight_schema import migrate, refresh
from fanlight_schema.store import Store, open_store

SPANS_PER_ROUND = 400_000  # inserted, then built
WRITERS = 2
CACHES = ("MARK", "UNCOMPRESSED", "QUERY CONDITION")
PUBLIC_VIEWS = (
    "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View'"
    " AND comment NOT LIKE '%open build%' AND name NOT LIKE 'priced%'"
    " AND NOT endsWith(name, '_since') ORDER BY name"
)
ON_DISK = (
    "SELECT table, sum(rows), sum(bytes_on_disk) FROM system.parts"
    " WHERE database = currentDatabase() AND active GROUP BY table ORDER BY table"
)
LARGEST_ACTION = "SELECT action_id FROM actions ORDER BY spans DESC, action_id LIMIT 1"
RAW_TABLES = ("otel_traces", "otel_traces_trace_id_ts")


@dataclass(frozen=True, slots=True)
class Written:
    """What writing took: wall and CPU seconds of this process, which is the engine's too."""

    spans: int
    actions: int
    insert_s: float
    insert_cpu_s: float
    build_s: float
    build_cpu_s: float


@dataclass(frozen=True, slots=True)
class Row:
    spans: int
    question: str
    rows: int
    cold_ms: float
    warm_ms: float
    plan_ms: float | None
    plain_ms: float | None
    most_ms: float | None


def write(store: Store, spans: int) -> Written:
    """Writes and builds all spans; what is shown is done so far."""
    actions = scale_spans.actions_of(spans)
    migrate.apply(store)
    _place_models(store)
    sizes = [
        row[0] for row in store.query(f"SELECT size FROM ({scale_spans.per_action(actions)}) ORDER BY a").rows
    ]
    took = dict.fromkeys(("insert_s", "insert_cpu_s", "build_s", "build_cpu_s"), 0.0)
    done = 0
    for first, count in _rounds(sizes):
        started, started_cpu = time.perf_counter(), time.process_time()
        store.command("SYSTEM STOP VIEW picked_rmv")  # so that inserting and building are timed apart
        _insert(store, actions, first, count)
        store.command("SYSTEM START VIEW picked_rmv")
        inserted, inserted_cpu = time.perf_counter(), time.process_time()
        refresh.settle(store, timeout_s=600)
        took["insert_s"] += inserted - started
        took["insert_cpu_s"] += inserted_cpu - started_cpu
        took["build_s"] += time.perf_counter() - inserted
        took["build_cpu_s"] += time.process_time() - inserted_cpu
        done += sum(sizes[first : first + count])
        print(
            f"  {done:,} of {sum(sizes):,} spans,"
            f" {took['insert_s']:.0f} s inserting, {took['build_s']:.0f} s building",
            flush=True,
        )
    return Written(sum(sizes), actions, **took)


def _rounds(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """First action and number of actions of each round."""
    rounds, first, spans = [], 0, 0
    for number, size in enumerate(sizes):
        spans += size
        if spans >= SPANS_PER_ROUND or number == len(sizes) - 1:
            rounds.append((first, number + 1 - first))
            first, spans = number + 1, 0
    return rounds


def _insert(store: Store, actions: int, first: int, count: int) -> None:
    share = -(-count // WRITERS)
    parts = [(start, min(share, first + count - start)) for start in range(first, first + count, share)]
    with ThreadPoolExecutor(WRITERS) as pool:
        for part in [pool.submit(store.command, scale_spans.insert(actions, *part)) for part in parts]:
            part.result()


def _place_models(store: Store) -> None:
    """Each region's servers have their own hardware."""
    for number, (region, hardware) in enumerate(
        zip(scale_spans.REGIONS, scale_spans.HARDWARE, strict=True), start=1
    ):
        store.command(
            "INSERT INTO placements (priority, host_pattern, model_pattern, model, hardware, profile,"
            f" batch_low, batch_high, source)"
            f" SELECT {number}, '{region}', p.model_pattern, card.model, card.hardware,"
            " min(card.profile), 4, 64, 'bench' FROM placements AS p INNER JOIN gpu_rate_cards AS card"
            f" ON p.model = card.model WHERE p.priority = 1000 AND card.hardware = '{hardware}'"
            " GROUP BY p.model_pattern, card.model, card.hardware"
        )


def measure(store: Store, folder: Path, question: Question, spans: int, repeats: int) -> Row:
    _forget(store, folder)
    cold_ms, answer = _timed(store, question.sql)
    warm_ms = min(_timed(store, question.sql)[0] for _ in range(repeats))
    plan_ms = None
    if question.explained:
        plan_ms = min(_timed(store, f"EXPLAIN {question.sql}")[0] for _ in range(repeats))
    plain_ms = None
    if question.plain:
        first_ms, plain = _timed(store, question.plain)
        plain_ms = min(first_ms, _timed(store, question.plain)[0])
        if not _same(answer, plain):
            raise SystemExit(f"{question.name}: plain otel_traces answers otherwise")
    rows = answer.count(b"\n")
    return Row(spans, question.name, rows, cold_ms, warm_ms, plan_ms, plain_ms, question.most_ms)


def _timed(store: Store, sql: str) -> tuple[float, bytes]:
    started = time.perf_counter()
    answer = store.query_bytes(sql, "TSV")
    return (time.perf_counter() - started) * 1e3, answer


def _same(answer: bytes, plain: bytes) -> bool:
    """Equal texts and, but for the last digits of sums of floats, equal numbers."""
    ours, theirs = answer.splitlines(), plain.splitlines()
    return len(ours) == len(theirs) and all(map(_same_row, ours, theirs))


def _same_row(ours: bytes, theirs: bytes) -> bool:
    return all(
        a == b
        or (_is_number(a) and _is_number(b) and math.isclose(float(a), float(b), rel_tol=1e-6, abs_tol=2e-3))
        for a, b in zip(ours.split(b"\t"), theirs.split(b"\t"), strict=True)
    )


def _is_number(text: bytes) -> bool:
    return text.replace(b".", b"", 1).replace(b"e+", b"", 1).isdigit()


def _forget(store: Store, folder: Path) -> None:
    """Takes the store's files out of the page cache, and drops the engine's own caches."""
    for cache in CACHES:
        store.command(f"SYSTEM DROP {cache} CACHE")
    for inside, _, names in os.walk(folder):  # which passes over folders that a merge removes meanwhile
        for name in names:
            if name.endswith(".bin"):
                with suppress(FileNotFoundError):
                    descriptor = os.open(Path(inside, name), os.O_RDONLY)
                    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                    os.close(descriptor)


def bench(folder: Path, spans: int, repeats: int) -> tuple[Written, list[Row], list[tuple[str, int, int]]]:
    complete = folder / "complete.json"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
    with open_store(f"chdb://{folder}/data") as store:
        if complete.exists():
            migrate.apply(store)  # refuses a folder of another schema
            written = Written(**json.loads(complete.read_text()))
        else:
            written = write(store, spans)
            complete.write_text(json.dumps(asdict(written)))
        check(store, written.actions)
        largest = store.query(LARGEST_ACTION).rows[0][0]
        trace = store.query(f"SELECT trace_id FROM model_calls WHERE action_id = '{largest}' LIMIT 1").rows[
            0
        ][0]
        views = [row[0] for row in store.query(PUBLIC_VIEWS).rows]
        rows = [
            measure(store, folder, question, written.spans, repeats)
            for question in (
                *questions(largest),
                *dashboard_questions(largest, trace),
                *whole_views(views),
            )
        ]
        sizes = [tuple(row) for row in store.query(ON_DISK).rows]
    return written, rows, sizes  # type: ignore[return-value]


def show_written(written: Written) -> str:
    insert = written.insert_cpu_s / written.spans * 1e6
    build = written.build_cpu_s / written.spans * 1e6
    return (
        f"{written.spans:,} spans of {written.actions:,} actions:"
        f" making and inserting {written.insert_s:.0f} s"
        f" ({insert:.1f} us of CPU a span), building {written.build_s:.0f} s ({build:.1f} us of CPU a span)"
    )


def show_sizes(sizes: Sequence[tuple[str, int, int]], spans: int) -> str:
    raw = sum(size for table, _, size in sizes if table in RAW_TABLES)
    derived = sum(size for table, _, size in sizes if table not in RAW_TABLES)
    lines = [
        (table, f"{rows:,}", f"{size / 1e6:,.1f}", f"{size / spans:.2f}")
        for table, rows, size in sizes
        if rows
    ]
    lines.append(("as it came, in all", "", f"{raw / 1e6:,.1f}", f"{raw / spans:.2f}"))
    lines.append(("derived, in all", "", f"{derived / 1e6:,.1f}", f"{derived / spans:.2f}"))
    return report.table(("table", "rows", "MB", "B/span"), lines)


def show(rows: Sequence[Row], smaller: Sequence[Row]) -> str:
    before = {row.question: row for row in smaller}
    lines = []
    for row in rows:
        less = before.get(row.question)
        lines.append(
            (
                row.question,
                f"{row.rows:,}",
                f"{row.cold_ms:,.0f}",
                f"{row.warm_ms:,.1f}",
                f"{row.plan_ms:,.1f}" if row.plan_ms else "",
                f"{row.most_ms:.0f}" if row.most_ms else "",
                f"{row.plain_ms:,.0f}" if row.plain_ms else "",
                f"{row.plain_ms / row.warm_ms:,.0f}x" if row.plain_ms else "",
                f"{less.warm_ms:,.1f}" if less else "",
                f"{row.warm_ms / less.warm_ms:.1f}x" if less else "",
            )
        )
    heads = (
        "question",
        "rows",
        "cold ms",
        "warm ms",
        "plan ms",
        "goal",
        "plain ms",
        "plain/warm",
        "on a tenth",
        "growth",
    )
    return report.table(heads, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="The public views on many spans.")
    parser.add_argument("--spans", type=int, default=20_000_000)
    parser.add_argument("--folder", type=Path, default=Path(".cache/bench-scale"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    options = parser.parse_args()
    print(report.describe(report.machine()), flush=True)
    found: list[list[Row]] = []
    for spans in (options.spans // 10, options.spans):
        print(f"about {spans:,} spans", flush=True)
        written, rows, sizes = bench(options.folder.resolve() / str(spans), spans, options.repeats)
        print(show_written(written))
        print(show_sizes(sizes, written.spans), flush=True)
        found.append(rows)
    print(show(found[1], found[0]))
    everything: list[dict[str, Any]] = [asdict(row) for rows in found for row in rows]
    report.write(options.json, "scale", everything)


if __name__ == "__main__":
    main()
