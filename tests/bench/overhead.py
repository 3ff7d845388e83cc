"""What fanlight adds to a call of the OpenAI SDK, against the bare SDK in the same run.

    python tests/bench/overhead.py [--json PATH] [--rounds 30]

Three processes take turns in short blocks of calls: the bare SDK, the bare SDK again, the traced SDK. The
second bare one is there for the noise: what it differs by from the first is what this machine cannot tell
apart. Blocks are compared with the blocks of their own round; figures are medians over rounds. Over `memory`
the transport is a function in the process, so all that is left is the SDK's work; over `http` a server on
loopback answers at once. The traced process exports to that server too, in the time that is measured.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles

import report
from provider import CHUNKS

HERE = Path(__file__).resolve().parent
BLOCK_S = 0.04  # a block of the bare SDK takes about this long: short, so that all three meet the same load


@dataclass(frozen=True, slots=True)
class Row:
    """One case; times in microseconds per call.

    `same_us` is bare against bare, taken as `added_us` is: what this machine cannot tell from nothing.
    `cpu_us` is the added processor time of the whole process, its exporting thread included; it hardly feels
    other load.
    """

    case: str
    bare_us: float
    added_us: float
    added_low_us: float
    added_high_us: float
    same_us: float
    cpu_us: float
    ratio: float
    added_per_chunk_us: float | None


@contextmanager
def provider() -> Iterator[str]:
    process = subprocess.Popen([sys.executable, HERE / "provider.py"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait()


class Worker:
    """A process of overhead_worker.py."""

    def __init__(self, kind: str, server: str) -> None:
        environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": server, "PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(
            [sys.executable, HERE / "overhead_worker.py", kind, f"{server}/v1"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def block(self, case: str, count: int) -> tuple[float, float]:
        """Microseconds per call by the clock, and of the process's CPU time."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{case} {count}\n")
        self._process.stdin.flush()
        clock_s, cpu_s = self._process.stdout.readline().split()
        return float(clock_s) / count * 1e6, float(cpu_s) / count * 1e6

    def close(self) -> None:
        self._process.communicate(timeout=30)


def cases() -> list[str]:
    styles = ("sync", "async", "sync-stream", "async-stream")
    return [f"{t} {s} {p}" for t in ("memory", "http") for s in styles for p in ("short", "100KB")]


def measure(case: str, workers: list[Worker], rounds: int) -> Row:
    """`workers` are bare, bare, traced."""
    for worker in workers:
        worker.block(case, 10)
    count = max(2, round(BLOCK_S * 1e6 / workers[0].block(case, 10)[0]))
    clock, cpu = [], []
    for number in range(rounds):
        order = workers if number % 2 else workers[::-1]
        taken = {worker: worker.block(case, count) for worker in order}
        clock.append([taken[worker][0] for worker in workers])
        cpu.append([taken[worker][1] for worker in workers])
    added = _added(clock)
    low, _, high = quantiles(added, n=4)
    bare_us = median(bare for bare, _, _ in clock)
    return Row(
        case=case,
        bare_us=bare_us,
        added_us=median(added),
        added_low_us=low,
        added_high_us=high,
        same_us=median(again - bare for bare, again, _ in clock),
        cpu_us=median(_added(cpu)),
        ratio=1 + median(added) / bare_us,
        added_per_chunk_us=median(added) / CHUNKS if "stream" in case else None,
    )


def _added(blocks: list[list[float]]) -> list[float]:
    return [traced - (bare + again) / 2 for bare, again, traced in blocks]


def run(rounds: int) -> list[Row]:
    with provider() as server:
        workers = [Worker(kind, server) for kind in ("bare", "bare", "traced")]
        try:
            return [measure(case, workers, rounds) for case in cases()]
        finally:
            for worker in workers:
                worker.close()


def show(rows: list[Row]) -> str:
    figures = ("bare us", "added us", "quartiles", "A/A us", "CPU us", "ratio", "us/chunk")
    return report.table(
        ("transport style prompt", *figures),
        [
            (
                row.case,
                f"{row.bare_us:.0f}",
                f"{row.added_us:.0f}",
                f"{row.added_low_us:.0f}..{row.added_high_us:.0f}",
                f"{row.same_us:+.0f}",
                f"{row.cpu_us:.0f}",
                f"{row.ratio:.2f}",
                "" if row.added_per_chunk_us is None else f"{row.added_per_chunk_us:.2f}",
            )
            for row in rows
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Added time per call against the bare SDK.")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--rounds", type=int, default=30, help="blocks of each process per case")
    options = parser.parse_args()
    rows = run(options.rounds)
    print(f"Time that fanlight adds to one call, median of {options.rounds} interleaved blocks of each")
    print(show(rows))
    report.write(options.json, "overhead", [asdict(row) for row in rows])


if __name__ == "__main__":
    main()
