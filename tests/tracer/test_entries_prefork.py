"""Workers of real servers that are recycled, terminated or killed lose no call, and tell none twice."""

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mock_provider import Provider
from otlp_receiver import OtlpReceiver
from process_trees import described_spans, each_once, next_process, traces_of_actions
from running import SUPPORT, clean_environment, free_port
from serving import DEADLINE_S, ask, eventually
from span_trees import Node, plain_call

RECYCLE_AFTER = 3  # requests of a worker
# A server, what starts it with two workers, and its option to recycle them.
SERVERS = {
    "gunicorn": ("gunicorn", ["prefork_apps:wsgi", "--workers", "2"], "--max-requests"),
    "gunicorn, app loaded before": (
        "gunicorn",
        ["prefork_apps:wsgi", "--workers", "2", "--preload"],
        "--max-requests",
    ),
    "uvicorn": (
        "uvicorn",
        ["prefork_apps:asgi", "--workers", "2", "--log-level", "critical"],
        "--limit-max-requests",
    ),
}


@dataclass(frozen=True)
class Server:
    """A running server; its requests each make one model call."""

    url: str

    def is_there(self) -> bool:
        try:
            return ask(f"{self.url}/", "GET").status == 404
        except OSError:
            return False

    def work(self) -> int:
        """The pid of the worker that answered; a worker that goes away may take a request with it."""
        while True:
            try:
                return int(ask(f"{self.url}/ask").body)
            except (OSError, http.client.HTTPException, ValueError):
                eventually(self.is_there)

    def die(self) -> None:
        """Its worker kills itself right after its call, before it answers."""
        with pytest.raises((OSError, http.client.HTTPException)):
            ask(f"{self.url}/die")


@contextmanager
def served(name: str, model_url: str) -> Iterator[Server]:
    port = free_port()
    module, arguments, recycle = SERVERS[name]
    place = ["--bind", f"127.0.0.1:{port}"] if module == "gunicorn" else ["--port", str(port)]
    ours = {key: value for key, value in os.environ.items() if key.startswith(("OTEL_", "FANLIGHT_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments, *place, recycle, str(RECYCLE_AFTER)],
        env={**clean_environment(), **ours, "BASE_URL": model_url, "PYTHONPATH": str(SUPPORT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = Server(f"http://127.0.0.1:{port}")
    try:
        eventually(server.is_there)
        yield server
    finally:
        process.terminate()
        assert process.wait(timeout=DEADLINE_S) is not None


@pytest.mark.parametrize("name", SERVERS)
def test_each_call_of_workers_that_come_and_go_is_told_once(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path, name: str
) -> None:
    model_url = provider.scenario()
    with served(name, model_url) as server:
        pids = [server.work() for _ in range(3 * RECYCLE_AFTER)]
        assert len(set(pids)) > 2, "no worker was recycled"
        os.kill(server.work(), signal.SIGTERM)
        server.die()
        server.work()
    next_process(tmp_path)
    asked = provider.truth(model_url)
    assert len(asked) >= len(pids) + 3
    spans = each_once(collector.spans)
    traces_of_actions(spans)
    killed = [Node("POST /die", {"error": "process_died"}, True, (plain_call(asked[0]),))]
    worked = [Node("POST /ask", below=(plain_call(asked[0]),))] * (len(asked) - 1)
    trees = [root for root in described_spans(spans) if root.name != "execute_tool next"]
    assert sorted(trees, key=lambda root: root.name) == worked + killed
