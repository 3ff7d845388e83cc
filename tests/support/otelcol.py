"""Runs the OpenTelemetry Collector of deploy/otelcol, where `make otelcol` has built it.

with running_collector(folder, clickhouse_tcp_port, "otel") as collector:
    collector.send(request)          # returns when the collector has acknowledged it
"""

import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from clickhouse_server import free_ports

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "deploy" / "otelcol" / "config.yaml"
METRICS = ROOT / "deploy" / "otelcol" / "metrics.yaml"  # beside CONFIG
BUILT = ROOT / ".cache" / "otelcol" / "_build" / "fanlight-otelcol"
TOKEN = "what-senders-show"
START_TIMEOUT_S = 60


def program() -> Path | None:
    """The collector, where there is one."""
    named = os.environ.get("FANLIGHT_TEST_OTELCOL")
    found = Path(named) if named else BUILT
    return found if found.is_file() else None


def validated(*configs: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the collector itself says of a configuration, its files merged."""
    found = program()
    assert found is not None
    return subprocess.run(
        [found, "validate", *(f"--config={config}" for config in configs)],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass
class Collector:
    """One that can be killed and started again on the same queue."""

    folder: Path
    environment: dict[str, str]
    http_port: int
    health_port: int
    configs: tuple[Path, ...] = (CONFIG,)
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def start(self) -> None:
        found = program()
        assert found is not None
        with (self.folder / "otelcol.log").open("ab") as log:
            self.process = subprocess.Popen(
                [found, *(f"--config={config}" for config in self.configs)],
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}", timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(
            f"the collector did not start: {(self.folder / 'otelcol.log').read_text()[-3000:]}"
        )

    def stop(self, how: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(timeout=60)

    def send(
        self, body: bytes, token: str = TOKEN, timeout_s: float = 120, signal_name: str = "traces"
    ) -> None:
        """One OTLP request, again and again until it is acknowledged, as every OTLP exporter does."""
        request = urllib.request.Request(
            f"{self.url}/v1/{signal_name}",
            data=body,
            headers={"content-type": "application/x-protobuf", "authorization": f"Bearer {token}"},
        )
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30):
                    return
            except urllib.error.HTTPError as refused:
                refused.close()
                if refused.code < 500 and refused.code != 429:
                    raise
            except OSError:
                pass  # it is being started again
            assert time.monotonic() < deadline, "the collector takes nothing"
            time.sleep(0.1)


@contextmanager
def running_collector(
    folder: Path,
    tcp_port: int,
    database: str,
    writer: tuple[str, str] = ("default", ""),
    configs: tuple[Path, ...] = (CONFIG,),
) -> Iterator[Collector]:
    """The collector of deploy/otelcol on free ports of loopback, with its queue in the folder."""
    grpc_port, http_port, health_port = free_ports(3)
    (folder / "token").write_text(TOKEN)
    environment = {
        "PATH": os.environ["PATH"],
        "CLICKHOUSE_ENDPOINT": f"tcp://127.0.0.1:{tcp_port}?dial_timeout=5s",
        "CLICKHOUSE_DATABASE": database,
        "CLICKHOUSE_WRITER": writer[0],
        "CLICKHOUSE_WRITER_PASSWORD": writer[1],
        "CLICKHOUSE_METRICS_WRITER": writer[0],
        "CLICKHOUSE_METRICS_WRITER_PASSWORD": writer[1],
        "OTELCOL_TOKEN_FILE": str(folder / "token"),
        "OTELCOL_QUEUE": str(folder / "queue"),
        "OTELCOL_GRPC": f"127.0.0.1:{grpc_port}",
        "OTELCOL_HTTP": f"127.0.0.1:{http_port}",
        "OTELCOL_HEALTH": f"127.0.0.1:{health_port}",
        "OTELCOL_METRICS_PORT": str(free_ports(1)[0]),
    }
    collector = Collector(folder, environment, http_port, health_port, configs)
    collector.start()
    try:
        yield collector
    finally:
        if collector.process is not None and collector.process.poll() is None:
            collector.stop(signal.SIGTERM)
        shutil.rmtree(folder / "queue", ignore_errors=True)
