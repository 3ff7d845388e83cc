"""Spans per second through `fanlight up` into the embedded store.

    python tests/bench/ingest.py [--json PATH] [--repeats 2]

Recorded sessions as OTLP/protobuf requests of 512 spans with at least 30 attributes each, over a few
connections. A request is answered when its rows are in the store, so the time to the last answer is the time
into the store. The sender shares the machine; its CPU time is measured apart and shown.
"""

import argparse
import gzip
import http.client
import itertools
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import report
import spans
from collector import cpu_s, embedded_up
from sessions import sessions

from running import Up

ATTRIBUTES = 30
CASES = ((1, "identity"), (4, "identity"), (16, "identity"), (16, "gzip"))  # connections, encoding


@dataclass(frozen=True, slots=True)
class Row:
    connections: int
    encoding: str
    spans: int
    seconds: float
    spans_per_s: float
    up_cpu_us_per_span: float
    sender_cpu_us_per_span: float
    fresh_after_s: float


def send_all(up: Up, bodies: Sequence[bytes], *, connections: int = 16, encoding: str = "identity") -> None:
    """All requests, each connection with its share of them, one after the other."""
    shares = [bodies[start::connections] for start in range(connections)]
    with ThreadPoolExecutor(connections) as pool:
        for finished in [pool.submit(_send, up, share, encoding) for share in shares]:
            finished.result()


def _send(up: Up, bodies: Sequence[bytes], encoding: str) -> None:
    connection = http.client.HTTPConnection(up.url.removeprefix("http://"), timeout=120)
    headers = {"content-type": "application/x-protobuf"}
    if encoding == "gzip":
        headers["content-encoding"] = "gzip"
    for body in bodies:
        connection.request("POST", "/v1/traces", body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"up answered {answer.status}")
    connection.close()


def measure(up: Up, bodies: Sequence[bytes], connections: int, encoding: str) -> Row:
    before = stored_spans(up)
    if encoding == "gzip":
        bodies = [gzip.compress(body, 6) for body in bodies]
    started, started_cpu = time.perf_counter(), time.process_time()
    up_cpu = cpu_s(up.process.pid)
    send_all(up, bodies, connections=connections, encoding=encoding)
    seconds = time.perf_counter() - started
    up_cpu, sender_cpu = cpu_s(up.process.pid) - up_cpu, time.process_time() - started_cpu
    stored = stored_spans(up) - before
    return Row(
        connections=connections,
        encoding=encoding,
        spans=stored,
        seconds=seconds,
        spans_per_s=stored / seconds,
        up_cpu_us_per_span=up_cpu / stored * 1e6,
        sender_cpu_us_per_span=sender_cpu / stored * 1e6,
        fresh_after_s=up.settle(timeout_s=600),
    )


def stored_spans(up: Up) -> int:
    count: int = up.rows("SELECT count() AS n FROM otel_traces")[0]["n"]
    return count


def run(repeats: int) -> tuple[list[Row], str]:
    found, source = sessions()
    rows = []
    for connections, encoding in CASES:
        for repeat in range(repeats):
            # Each repeat is other people's spans in a store of its own: a re-sent span would be no new row.
            bodies = list(spans.requests(found, ended_at_s=time.time(), pad_to=ATTRIBUTES, seed=repeat))
            with embedded_up() as up:
                send_all(up, bodies[:5])
                rows.append(measure(up, bodies[5:], connections, encoding))
    return rows, source


def show(rows: Sequence[Row]) -> str:
    figures = ("spans", "seconds", "spans/s", "range", "up CPU us/span", "sender CPU", "fresh after s")
    lines = []
    for case, group in itertools.groupby(rows, lambda row: (row.connections, row.encoding)):
        runs = list(group)
        speeds = [row.spans_per_s for row in runs]
        lines.append(
            (
                "{} {}".format(*case),
                f"{runs[0].spans:,}",
                f"{statistics.median(row.seconds for row in runs):.2f}",
                f"{statistics.median(speeds):,.0f}",
                f"{min(speeds):,.0f}..{max(speeds):,.0f}",
                f"{statistics.median(row.up_cpu_us_per_span for row in runs):.0f}",
                f"{statistics.median(row.sender_cpu_us_per_span for row in runs):.1f}",
                f"{max(row.fresh_after_s for row in runs):.1f}",
            )
        )
    return report.table(("connections", *figures), lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Spans per second into the embedded store.")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    rows, source = run(options.repeats)
    shape = f"{spans.SPANS_PER_REQUEST} spans a request, at least {ATTRIBUTES} attributes a span"
    print(f"Spans into the store: {source}, {shape}")
    print(show(rows))
    report.write(options.json, "ingest", [asdict(row) for row in rows])


if __name__ == "__main__":
    main()
