"""Time of each public view, warm, on the recorded sessions and on four times as many.

    python tests/bench/views.py [--json PATH] [--repeats 7]

Every view is read whole, as CSV, through `fanlight up`: what a dashboard waits for. The first reading is not
counted.
"""

import argparse
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import report
import spans
from collector import embedded_up
from ingest import send_all
from sessions import sessions

from fanlight_schema.shape import STANDING_MARKS
from running import Up

VIEWS = (
    "actions",
    "model_calls",
    "fanout_by_action",
    "fanout_by_user",
    "fanout_hourly",
    "gpu_demand_by_user",
    "gpu_demand_by_action",
    "gpu_demand_by_model",
    "gpu_demand_hourly",
    "cascade_shapes",
    "branching_by_hop",
    "latency_by_action",
    "inference_speedup",
)
COPIES = (1, 4)


@dataclass(frozen=True, slots=True)
class Row:
    view: str
    calls: int
    rows: int
    bytes: int
    median_ms: float
    least_ms: float
    most_ms: float


def measure(up: Up, view: str, calls: int, repeats: int) -> Row:
    with closing(up.reader()) as reader:
        answer = reader.query_bytes(f"SELECT * FROM {view}", "CSVWithNames")
        took = []
        for _ in range(repeats):
            started = time.perf_counter()
            reader.query_bytes(f"SELECT * FROM {view}", "CSVWithNames")
            took.append((time.perf_counter() - started) * 1e3)
    return Row(view, calls, answer.count(b"\n") - 1, len(answer), median(took), min(took), max(took))


def settle_shapes(up: Up, timeout_s: float) -> None:
    """Waits until every action that is counted has its shape."""
    deadline = time.monotonic() + timeout_s
    while up.rows(STANDING_MARKS) != [{"count()": 0}]:
        assert time.monotonic() < deadline, f"actions have no shape after {timeout_s:.0f} s"
        time.sleep(1.0)


def run(repeats: int) -> tuple[list[Row], str]:
    found, source = sessions()
    rows = []
    for copies in COPIES:
        with embedded_up() as up:
            send_all(up, list(spans.requests(found, ended_at_s=time.time(), copies=copies)))
            up.settle(timeout_s=600)
            settle_shapes(up, timeout_s=600)
            calls = up.rows("SELECT count() AS n FROM model_calls")[0]["n"]
            rows += [measure(up, view, calls, repeats) for view in VIEWS]
    return rows, source


def show(rows: Sequence[Row]) -> str:
    columns = ("view", "model calls", "rows", "KB", "median ms", "range ms")
    return report.table(
        columns,
        [
            (
                row.view,
                f"{row.calls:,}",
                f"{row.rows:,}",
                f"{row.bytes / 1e3:,.0f}",
                f"{row.median_ms:.1f}",
                f"{row.least_ms:.1f}..{row.most_ms:.1f}",
            )
            for row in rows
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Time of each public view.")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    rows, source = run(options.repeats)
    print(
        f"Time of SELECT * from each view: {source}, spread over {spans.DAYS:g} days, and four times as many"
    )
    print(show(rows))
    report.write(options.json, "views", [asdict(row) for row in rows])


if __name__ == "__main__":
    main()
