"""Which spool files `fanlight up` takes in: those for its own address, from whole files of dead processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fanlight_collectors.up.spool import is_own_target
from fanlight_schema.spool import target_of
from up_process import Up, running_up

KILLED = """
import os, signal, fanlight
fanlight.instrument()
for _ in range(20):
    with fanlight.tool("search"): pass
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("listen", "endpoint", "own"),
    [
        ("127.0.0.1", "http://127.0.0.1:4318/v1/traces", True),
        ("127.0.0.1", "http://localhost:4318/v1/traces/", True),
        ("127.0.0.1", "http://[::1]:4318/v1/traces", True),
        ("127.0.0.1", "http://127.0.0.1:4319/v1/traces", False),
        ("127.0.0.1", "https://127.0.0.1:4318/v1/traces", False),
        ("127.0.0.1", "http://127.0.0.1:4318/other/v1/traces", False),
        ("127.0.0.1", "http://collector.example:4318/v1/traces", False),
        ("0.0.0.0", "http://127.0.0.1:4318/v1/traces", True),
        ("0.0.0.0", "http://collector.example:4318/v1/traces", False),
        ("10.0.0.5", "http://10.0.0.5:4318/v1/traces", True),
        ("10.0.0.5", "http://127.0.0.1:4318/v1/traces", False),
    ],
)
def test_only_what_was_to_come_here_is_taken_in(listen: str, endpoint: str, own: bool) -> None:
    assert is_own_target(listen, 4318)(target_of(endpoint)) is own


def kill_one(spool: Path, endpoint: str) -> None:
    environment = {"FANLIGHT_SPOOL_DIR": str(spool), "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    done = subprocess.run([sys.executable, "-c", KILLED], env={**os.environ, **environment}, check=False)
    assert done.returncode == -signal.SIGKILL


def wait_for(up: Up, spans: int) -> None:
    deadline = time.monotonic() + 30
    while up.rows("SELECT count() FROM otel_traces") != [[spans]]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_files_come_in_while_it_runs_and_are_deleted_and_what_else_lies_there_stays(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with running_up(spool_folder=str(spool)) as up:
        kill_one(spool, "http://127.0.0.1:9")
        (spool / "garbage.spool").write_bytes(os.urandom(1_000))
        others = set(spool.iterdir())
        for number in range(1, 3):
            kill_one(spool, up.url)
            wait_for(up, number * 20)
        while set(spool.iterdir()) != others:
            time.sleep(0.05)
        counts = up.request("GET", "/healthz").json()["counts"]
        assert (counts["spool_processes"], counts["spool_spans"]) == (2, 40)
        assert up.stop() == 0
