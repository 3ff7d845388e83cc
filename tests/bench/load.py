"""Many senders at once, for a given time: does the store keep up, and do the figures stay fresh?

    python tests/bench/load.py [--json PATH] [--minutes 10] [--clients 200] [--spans-per-s 50]

Every client sends the spans of its sessions as they come, 1 to 512 spans a request, at its own rate. A probe,
an action of one call, is sent every other second; freshness is the time from its answer to its row in the
figures. Then a burst: 40,000 spans of 2,000 actions at once. The sender shares the machine; its CPU is apart.
"""

import argparse
import http.client
import itertools
import math
import random
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

import report
import spans
from collector import cpu_s, embedded_up, parts, rss_mb
from ingest import ATTRIBUTES, send_all
from sessions import sessions

import weka
from running import Up

LARGEST_REQUEST = 512
ROW_EVERY_S = 10
PROBE_EVERY_S = 2
POLL_S = 0.2
BURST_SPANS, BURST_ACTIONS = 40_000, 2_000


@dataclass(frozen=True, slots=True)
class Row:
    """One stretch of the run; freshness is None where no probe was seen in it."""

    at_s: float
    spans_per_s: float
    up_cores: float
    sender_cores: float
    up_rss_mb: float
    parts: int
    answer_p50_ms: float
    answer_p99_ms: float
    refused: int
    fresh_most_s: float | None


@dataclass(slots=True)
class Tally:
    """What happened since it was last taken; the clients write, one reader takes."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    spans: int = 0
    refused: int = 0
    answers_ms: list[float] = field(default_factory=list)
    fresh_s: list[float] = field(default_factory=list)

    def answered(self, status: int, count: int, took_s: float) -> None:
        with self.lock:
            self.answers_ms.append(took_s * 1e3)
            self.spans += count if status == 200 else 0
            self.refused += status != 200

    def take(self) -> "Tally":
        with self.lock:
            taken = Tally(self.lock, self.spans, self.refused, self.answers_ms, self.fresh_s)
            self.spans, self.refused, self.answers_ms, self.fresh_s = 0, 0, [], []
        return taken


class Client(threading.Thread):
    """One sender with sessions of its own; late answers delay its next request, never skip one."""

    def __init__(self, up: Up, number: int, found: Sequence[weka.Session], rate: float, tally: Tally) -> None:
        super().__init__(daemon=True)
        self.chance = random.Random(number)
        self.up, self.number, self.rate, self.tally = up, number, rate, tally
        self.found = found
        self.stopping = threading.Event()

    def run(self) -> None:
        connection = _connect(self.up)
        stream = self._spans()
        due = time.monotonic() + self.chance.random() * LARGEST_REQUEST / 4 / self.rate
        while not self.stopping.is_set():
            size = round(math.exp(self.chance.uniform(0, math.log(LARGEST_REQUEST))))
            body = spans.request(list(itertools.islice(stream, size)))
            due = max(due + size / self.rate, time.monotonic())
            if self.stopping.wait(due - time.monotonic()):
                break
            started = time.monotonic()
            status = _post(connection, body)
            self.tally.answered(status, size, time.monotonic() - started)

    def _spans(self) -> Iterator[bytes]:
        writer = spans.Writer(ATTRIBUTES, self.chance)
        while True:
            session = self.chance.choice(self.found)
            yield from writer.session(session, f"u-{self.number}", time.time() - 3_600)


def _connect(up: Up) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(up.url.removeprefix("http://"), timeout=120)


def _post(connection: http.client.HTTPConnection, body: bytes) -> int:
    """The answer's status; 0 if there was none, after which the next request opens a new connection."""
    try:
        return _posted(connection, body)
    except (OSError, http.client.HTTPException):
        connection.close()
        return 0


def _posted(connection: http.client.HTTPConnection, body: bytes) -> int:
    connection.request("POST", "/v1/traces", body, {"content-type": "application/x-protobuf"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def probe(up: Up, tally: Tally, stopping: threading.Event) -> None:
    """Sends small actions and waits for the row of each."""
    connection = _connect(up)
    call = weka.Call("probe", "m", 10, 0, 10, False, False, 0.1)
    session = weka.Session("probe", (weka.Action((call,)),))
    while not stopping.wait(PROBE_EVERY_S):
        writer = spans.Writer(ATTRIBUTES)
        user = f"probe-{secrets.token_hex(8)}"
        _post(connection, spans.request(list(writer.session(session, user, time.time() - 1))))
        answered = time.monotonic()
        while not up.rows(f"SELECT 1 AS seen FROM cascades WHERE user_id = '{user}'"):
            if stopping.wait(POLL_S):
                return
        with tally.lock:
            tally.fresh_s.append(time.monotonic() - answered)


def measure(up: Up, clients: int, rate: float, minutes: float) -> list[Row]:
    found, _ = sessions()
    tally, stopping = Tally(), threading.Event()
    senders = [Client(up, number, found, rate, tally) for number in range(clients)]
    prober = threading.Thread(target=probe, args=(up, tally, stopping), daemon=True)
    for thread in (*senders, prober):
        thread.start()
    rows = []
    began = before = time.monotonic()
    up_cpu, own_cpu = cpu_s(up.process.pid), time.process_time()
    while before - began < minutes * 60:
        time.sleep(ROW_EVERY_S)
        now, up_now, own_now = time.monotonic(), cpu_s(up.process.pid), time.process_time()
        rows.append(_row(up, tally.take(), now - began, now - before, up_now - up_cpu, own_now - own_cpu))
        print(show_row(rows[-1]), flush=True)
        before, up_cpu, own_cpu = now, up_now, own_now
    stopping.set()
    for sender in senders:
        sender.stopping.set()
    for thread in (*senders, prober):
        thread.join()
    return rows


def _row(up: Up, tally: Tally, at_s: float, length_s: float, up_cpu: float, own_cpu: float) -> Row:
    took = sorted(tally.answers_ms) or [math.nan]
    return Row(
        at_s=at_s,
        spans_per_s=tally.spans / length_s,
        up_cores=up_cpu / length_s,
        sender_cores=own_cpu / length_s,
        up_rss_mb=rss_mb(up.process.pid),
        parts=parts(up),
        answer_p50_ms=median(took),
        answer_p99_ms=took[math.ceil(0.99 * len(took)) - 1],
        refused=tally.refused,
        fresh_most_s=max(tally.fresh_s, default=None),
    )


def burst(up: Up) -> tuple[int, float]:
    """Spans of a burst, and the seconds from its first request until all are in the figures."""
    call = weka.Call("burst", "m", 1_000, 500, 100, False, True, 1.0)
    actions = BURST_SPANS // BURST_ACTIONS
    session = weka.Session("burst", (weka.Action((call,) * ((actions - 1) // 2)),))
    chance = random.Random(1)
    made = [
        span
        for number in range(BURST_ACTIONS)
        for span in spans.Writer(ATTRIBUTES, chance).session(session, f"u-{number}", time.time() - 60)
    ]
    bodies = [spans.request(made[at : at + LARGEST_REQUEST]) for at in range(0, len(made), LARGEST_REQUEST)]
    started = time.monotonic()
    send_all(up, bodies)
    up.settle(timeout_s=600)
    return len(made), time.monotonic() - started


HEADS = (
    "at s",
    "spans/s",
    "up cores",
    "sender",
    "up MB",
    "parts",
    "answer p50",
    "p99 ms",
    "refused",
    "fresh s",
)


def show_row(row: Row) -> str:
    fresh = "-" if row.fresh_most_s is None else f"{row.fresh_most_s:.1f}"
    cells = (
        f"{row.at_s:.0f}",
        f"{row.spans_per_s:,.0f}",
        f"{row.up_cores:.2f}",
        f"{row.sender_cores:.2f}",
        f"{row.up_rss_mb:,.0f}",
        f"{row.parts:,}",
        f"{row.answer_p50_ms:,.0f}",
        f"{row.answer_p99_ms:,.0f}",
        f"{row.refused}",
        fresh,
    )
    return "  ".join(cell.rjust(len(head)) for cell, head in zip(cells, HEADS, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description="Many senders for a given time.")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--spans-per-s", type=float, default=50.0, help="of each client")
    options = parser.parse_args()
    print(report.describe(report.machine()))
    print(f"{options.clients} clients of {options.spans_per_s:g} spans/s, 1 to {LARGEST_REQUEST} a request")
    print("  ".join(HEADS))
    with embedded_up() as up:
        rows = measure(up, options.clients, options.spans_per_s, options.minutes)
        print(f"the last span is in the figures after {up.settle(timeout_s=600):.1f} s")
        count, took_s = burst(up)
        print(f"a burst of {count:,} spans in {BURST_ACTIONS:,} actions: in the figures after {took_s:.1f} s")
    report.write(options.json, "load", [*map(asdict, rows), {"burst_spans": count, "burst_s": took_s}])


if __name__ == "__main__":
    main()
