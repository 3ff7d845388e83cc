"""What fanlight and its peers add to a call of the OpenAI SDK, against the bare SDK in the same run.

    python tests/bench/overhead.py [--json PATH] [--rounds 20] [--python PEERS_PYTHON] [--only fanlight]

Processes take turns in short blocks of calls: the bare SDK, the bare SDK again, one for each tracer. The
second bare one is there for the noise: what it differs by from the first is what this machine cannot tell
apart. Blocks are compared with the blocks of their own round; figures are medians over rounds. Over `memory`
the transport is a function in the process, so all that is left is the SDK's work; over `http` a server on
loopback answers at once. Traced processes export to that server too, in the time that is measured.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles

import report
from provider import CHUNKS

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
BLOCK_S = 0.04  # a block of the bare SDK takes about this long: short, so that all meet the same load
BARE = ("bare", "bare again")


@dataclass(frozen=True, slots=True)
class Row:
    """One case of one tracer; times in microseconds per call, added to the mean of the two bare processes.

    `added_us` is by the clock, with its quartiles; `thread_us` the processor time of the thread that calls,
    which other load hardly touches; `process_us` that of the whole process, its exporting thread included.
    For `bare again` they are bare against bare: what this machine cannot tell from nothing.
    """

    case: str
    tracer: str
    bare_us: float
    added_us: float
    added_low_us: float
    added_high_us: float
    thread_us: float
    process_us: float
    ratio: float
    added_per_chunk_us: float | None


@contextmanager
def provider(python: str) -> Iterator[str]:
    process = subprocess.Popen([python, HERE / "provider.py"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait()


def environment() -> dict[str, str]:
    """This checkout's fanlight, whatever Python runs it; nothing that steers a tracer.

    Bytecode is kept, as an installer does: without it start-up would be the compiler's time, of ours alone.
    """
    steering = ("OTEL_", "FANLIGHT_", "PYTHONDONTWRITEBYTECODE")
    own = {key: value for key, value in os.environ.items() if not key.startswith(steering)}
    paths = os.pathsep.join(str(CHECKOUT / part) for part in ("tracer", "schema"))
    return {**own, "PYTHONPATH": paths, "PYTHONHASHSEED": "0"}


class Worker:
    """A process of overhead_worker.py."""

    def __init__(self, python: str, tracer: str, server: str) -> None:
        self.tracer = tracer
        self._process = subprocess.Popen(
            [python, HERE / "overhead_worker.py", tracer.removesuffix(" again"), server],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # peers warn of endpoints that are not theirs
            text=True,
            env=environment(),
        )

    def block(self, case: str, count: int) -> tuple[float, float, float]:
        """Microseconds per call: by the clock, of the calling thread's CPU time, of the process's."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{case} {count}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().split()
        if len(answer) != 3:
            raise RuntimeError(f"{self.tracer} ended in {case}; run overhead_worker.py by hand")
        clock, process, thread = (float(seconds) / count * 1e6 for seconds in answer)
        return clock, thread, process

    def close(self) -> None:
        self._process.communicate(timeout=30)


def cases() -> list[str]:
    styles = ("sync", "async", "sync-stream", "async-stream")
    return [f"{t} {s} {p}" for t in ("memory", "http") for s in styles for p in ("short", "100KB")]


def measure(case: str, workers: Sequence[Worker], rounds: int) -> list[Row]:
    """One row for each worker but the first; the first two are the bare ones."""
    for worker in workers:
        worker.block(case, 10)
    count = max(2, round(BLOCK_S * 1e6 / workers[0].block(case, 10)[0]))
    blocks: dict[str, list[tuple[float, float, float]]] = {worker.tracer: [] for worker in workers}
    for number in range(rounds):
        for worker in workers if number % 2 else workers[::-1]:
            blocks[worker.tracer].append(worker.block(case, count))
    return [_row(case, worker.tracer, blocks) for worker in workers[1:]]


def _row(case: str, tracer: str, blocks: dict[str, list[tuple[float, float, float]]]) -> Row:
    bare, again = (blocks[name] for name in BARE)
    added = [
        [
            value - (one if tracer == BARE[1] else (one + other) / 2)
            for one, other, value in zip(*of, strict=True)
        ]
        for of in zip(bare, again, blocks[tracer], strict=True)
    ]
    clock, thread, process = (list(column) for column in zip(*added, strict=True))
    low, _, high = quantiles(clock, n=4)
    bare_us = median(block[0] for block in bare)
    return Row(
        case=case,
        tracer=tracer,
        bare_us=bare_us,
        added_us=median(clock),
        added_low_us=low,
        added_high_us=high,
        thread_us=median(thread),
        process_us=median(process),
        ratio=1 + median(clock) / bare_us,
        added_per_chunk_us=median(clock) / CHUNKS if "stream" in case else None,
    )


def run(python: str, names: Sequence[str], rounds: int) -> Iterator[list[Row]]:
    """The rows of each case as soon as they are measured."""
    with provider(sys.executable) as server:
        workers = [Worker(python, name, server) for name in (*BARE, *names)]
        try:
            for case in cases():
                yield measure(case, workers, rounds)
        finally:
            for worker in workers:
                worker.close()


def show(rows: Sequence[Row]) -> str:
    head = f"{rows[0].case}: bare {rows[0].bare_us:.0f} us"
    figures = ("added us", "quartiles", "caller's thread us", "process us", "ratio", "us/chunk")
    return report.table(
        (head, *figures),
        [
            (
                f"  {row.tracer}",
                f"{row.added_us:.0f}",
                f"{row.added_low_us:.0f}..{row.added_high_us:.0f}",
                f"{row.thread_us:.0f}",
                f"{row.process_us:.0f}",
                f"{row.ratio:.2f}",
                "" if row.added_per_chunk_us is None else f"{row.added_per_chunk_us:.2f}",
            )
            for row in rows
        ],
    )


def main() -> None:
    import tracers

    parser = argparse.ArgumentParser(description="Added time per call against the bare SDK.")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--rounds", type=int, default=20, help="blocks of each process per case")
    parser.add_argument("--python", default=sys.executable, help="runs the tracers: the peers have their own")
    known = [name for name in tracers.SWITCH_ON if name != "bare"]
    parser.add_argument(
        "--only", nargs="+", choices=known, help="these tracers (default: those that are installed)"
    )
    options = parser.parse_args()
    names = options.only or tracers.installed(options.python)
    print(f"Added to one call, median of {options.rounds} interleaved blocks of each process", flush=True)
    rows: list[Row] = []
    for of_case in run(options.python, names, options.rounds):
        rows += of_case
        print(show(of_case), flush=True)
    report.write(options.json, "overhead", [asdict(row) for row in rows])


if __name__ == "__main__":
    main()
