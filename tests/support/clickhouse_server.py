"""Starts a real ClickHouse server out of the npm package @chdb/lib-linux-x64-gnu.

Its libchdb.so has the C function query_stable_v2(argc, argv), which runs clickhouse-local: with SYSTEM START
LISTEN that serves ClickHouse's HTTP and native protocols. Run as a program, this file is the server:

    python tests/support/clickhouse_server.py LIBRARY FOLDER HTTP_PORT TCP_PORT [CONFIG]
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = ROOT / ".cache/clickhouse-test-server/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so"
START_TIMEOUT_S = 60
PR_SET_PDEATHSIG = 1  # linux/prctl.h: die with the process that started us, however that ends
# The engine lives as long as its query; this one ends by itself after days.
SERVE = (
    "SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; "
    "SELECT sleepEachRow(3) FROM numbers(100000000) FORMAT Null "
    "SETTINGS max_block_size=1, function_sleep_max_microseconds_per_block=0"
)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server on loopback; `folder` holds its data and its log."""

    http_port: int
    tcp_port: int
    pid: int
    folder: Path

    def url(self, database: str) -> str:
        return f"clickhouse://127.0.0.1:{self.http_port}/{database}"


def library() -> Path | None:
    """libchdb.so: what FANLIGHT_TEST_CLICKHOUSE_LIB names, else what `make setup` has installed."""
    named = os.environ.get("FANLIGHT_TEST_CLICKHOUSE_LIB")
    found = Path(named) if named else INSTALLED
    return found if found.is_file() else None


@contextmanager
def running_server(libchdb: Path) -> Iterator[Server]:
    """A server on free ports with an empty folder, killed at the end of the block."""
    with _running(libchdb, free_ports(2)) as server:
        yield server


@contextmanager
def running_shards(libchdb: Path, cluster: str, count: int) -> Iterator[list[Server]]:
    """Servers that are the shards of one cluster, each of one replica and without Keeper."""
    ports = [free_ports(2) for _ in range(count)]
    shards = "".join(
        "<shard><internal_replication>true</internal_replication>"
        f"<replica><host>127.0.0.1</host><port>{tcp_port}</port></replica></shard>"
        for _, tcp_port in ports
    )
    config = f"<clickhouse><remote_servers><{cluster}>{shards}</{cluster}></remote_servers></clickhouse>"
    with ExitStack() as running:
        yield [running.enter_context(_running(libchdb, both, config)) for both in ports]


@contextmanager
def running_in(libchdb: Path, folder: Path, ports: list[int], config: str | None = None) -> Iterator[Server]:
    """A server on these ports (HTTP, native) with what is in the folder; it may run there again later."""
    http_port, tcp_port = ports
    command = [
        sys.executable,
        __file__,
        str(libchdb),
        str(folder / "data"),
        str(http_port),
        str(tcp_port),
    ]
    if config is not None:
        (folder / "config.xml").write_text(config)
        command.append(str(folder / "config.xml"))
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_until_up(process, http_port, folder / "server.log")
        yield Server(http_port, tcp_port, process.pid, folder)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@contextmanager
def _running(libchdb: Path, ports: list[int], config: str | None = None) -> Iterator[Server]:
    with (
        tempfile.TemporaryDirectory(prefix="fanlight-clickhouse-", ignore_cleanup_errors=True) as name,
        running_in(libchdb, Path(name), ports, config) as server,
    ):
        yield server


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _wait_until_up(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the test server ended at start: {log.read_text(errors='replace')[-2000:]}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2) as answer:
                if answer.read() == b"Ok.\n":
                    return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"the test server did not answer within {START_TIMEOUT_S} s")


def serve(libchdb: str, folder: str, http_port: str, tcp_port: str, config: str | None = None) -> None:
    """Runs the engine in this process; returns only if it fails to start."""
    arguments = [
        "clickhouse-local",
        f"--path={folder}",
        f"--http_port={http_port}",
        f"--tcp_port={tcp_port}",
        "--listen_host=127.0.0.1",
        f"--query={SERVE}",
    ]
    if config is not None:
        arguments.append(f"--config-file={config}")
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    array = (ctypes.c_char_p * len(arguments))(*[argument.encode() for argument in arguments])
    engine = ctypes.CDLL(libchdb)
    engine.query_stable_v2.restype = ctypes.c_void_p
    engine.query_stable_v2(len(arguments), array)
    sys.exit("the engine returned")


if __name__ == "__main__":
    serve(*sys.argv[1:])
