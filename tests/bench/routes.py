"""The same spans through the OpenTelemetry Collector of deploy/otelcol and through `fanlight up`.

    python tests/bench/routes.py [--json PATH] [--repeats 3]

Both write to one ClickHouse server of this machine, in turn, each repeat into an empty store. `up` answers a
request when its rows are in the store, the collector when it is in its queue on the disk: the time until all
rows are in the store counts for both. CPU per span is of the route's process, of the server, of the sender.
"""

import argparse
import itertools
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import report
import spans
from collector import cpu_s
from ingest import ATTRIBUTES
from sessions import sessions

from clickhouse_server import Server, library
from clickhouse_server import running_server as running_clickhouse
from fanlight_schema import migrate, refresh
from fanlight_schema.store import Store, open_store
from otelcol import TOKEN, program, running_collector
from running import running_up

CONNECTIONS = 16
ROUTES = ("fanlight up", "OpenTelemetry Collector")
STORED = "SELECT count() FROM otel_traces"
STORED_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Row:
    route: str
    spans: int
    answered_s: float
    stored_s: float
    route_cpu_us_per_span: float
    server_cpu_us_per_span: float
    sender_cpu_us_per_span: float
    figures_after_s: float  # after the last row was stored


@dataclass(frozen=True, slots=True)
class Route:
    url: str
    pid: int
    headers: dict[str, str]

    def send(self, bodies: Sequence[bytes]) -> None:
        """All requests, over CONNECTIONS connections at once; each is acknowledged before its next."""
        shares = [bodies[start::CONNECTIONS] for start in range(CONNECTIONS)]
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for finished in [pool.submit(self._send, share) for share in shares]:
                finished.result()

    def _send(self, bodies: Sequence[bytes]) -> None:
        for body in bodies:
            headers = {"content-type": "application/x-protobuf", **self.headers}
            request = urllib.request.Request(f"{self.url}/v1/traces", data=body, headers=headers)
            with urllib.request.urlopen(request, timeout=120):
                pass


@contextmanager
def running(route: str, server: Server, database: str) -> Iterator[Route]:
    """The route, writing to this database of the server."""
    with tempfile.TemporaryDirectory(prefix="fanlight-routes-") as name:
        folder = Path(name)
        if route == ROUTES[0]:
            with running_up(server.url(database), folder) as up:
                yield Route(up.url, up.process.pid, {})
        else:
            with running_collector(folder, server.tcp_port, database) as collector:
                assert collector.process is not None
                yield Route(collector.url, collector.process.pid, {"authorization": f"Bearer {TOKEN}"})


def measure(
    name: str, server: Server, store: Store, database: str, bodies: Sequence[bytes], sent: int
) -> Row:
    with running(name, server, database) as route:
        before = cpu_s(route.pid), cpu_s(server.pid), time.process_time()
        started = time.perf_counter()
        route.send(bodies)
        answered_s = time.perf_counter() - started
        stored_s = _until_stored(store, sent, started)
        after = cpu_s(route.pid), cpu_s(server.pid), time.process_time()
        refresh.settle(store, timeout_s=600)
        figures_after_s = time.perf_counter() - started - stored_s
    by_route, by_server, by_sender = (
        (now - then) / sent * 1e6 for now, then in zip(after, before, strict=True)
    )
    return Row(name, sent, answered_s, stored_s, by_route, by_server, by_sender, figures_after_s)


def _until_stored(store: Store, sent: int, started: float) -> float:
    while (found := store.query(STORED).rows[0][0]) < sent:
        if time.perf_counter() - started > STORED_TIMEOUT_S:
            raise RuntimeError(f"{found} of {sent} spans are in the store after {STORED_TIMEOUT_S} s")
        time.sleep(0.02)
    return time.perf_counter() - started


def run(repeats: int) -> tuple[list[Row], str]:
    found, source = sessions()
    libchdb = library()
    if libchdb is None:
        raise SystemExit("the ClickHouse test server is missing; `make setup` fetches it")
    rows = []
    with running_clickhouse(libchdb) as server:
        for repeat, name in itertools.product(range(repeats), ROUTES):
            # Each repeat is other people's spans in a store of its own: a re-sent span would be no new row.
            bodies = list(spans.requests(found, ended_at_s=time.time(), pad_to=ATTRIBUTES, seed=repeat))
            sent = sum(len(session) for session in _spans_of(bodies))
            database = f"routes_{repeat}_{ROUTES.index(name)}"
            with open_store(server.url(database)) as store:
                migrate.apply(store)
                rows.append(measure(name, server, store, database, bodies, sent))
                store.command(f"DROP DATABASE {database}")
    return rows, source


def _spans_of(bodies: Sequence[bytes]) -> Iterator[Sequence[object]]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    for body in bodies:
        request = ExportTraceServiceRequest.FromString(body)
        yield [span for r in request.resource_spans for s in r.scope_spans for span in s.spans]


def show(rows: Sequence[Row]) -> str:
    columns = (
        "route",
        "spans",
        "spans/s",
        "range",
        "answered s",
        "route CPU us",
        "server CPU us",
        "sender CPU us",
    )
    lines = []
    speeds: dict[str, float] = {}
    for name in ROUTES:
        runs = [row for row in rows if row.route == name]
        each = [row.spans / row.stored_s for row in runs]
        speeds[name] = statistics.median(each)
        lines.append(
            (
                name,
                f"{runs[0].spans:,}",
                f"{speeds[name]:,.0f}",
                f"{min(each):,.0f}..{max(each):,.0f}",
                f"{statistics.median(row.answered_s for row in runs):.2f}",
                f"{statistics.median(row.route_cpu_us_per_span for row in runs):.0f}",
                f"{statistics.median(row.server_cpu_us_per_span for row in runs):.0f}",
                f"{statistics.median(row.sender_cpu_us_per_span for row in runs):.0f}",
            )
        )
    ratio = speeds[ROUTES[1]] / speeds[ROUTES[0]]
    return f"{report.table(columns, lines)}\n{ROUTES[1]} / {ROUTES[0]}: {ratio:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="The OpenTelemetry Collector beside fanlight up.")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if program() is None:
        raise SystemExit(
            "the OpenTelemetry Collector is not built here; `make otelcol` does it (Go, 5 to 10 minutes)"
        )
    rows, source = run(options.repeats)
    print(report.describe(report.machine()))
    sent = f"{spans.SPANS_PER_REQUEST} spans a request over {CONNECTIONS} connections"
    print(f"{source}, {sent}, into one ClickHouse server")
    print(show(rows))
    report.write(options.json, "routes", [asdict(row) for row in rows])


if __name__ == "__main__":
    main()
