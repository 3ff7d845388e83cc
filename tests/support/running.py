"""Runs `fanlight up` and other programs as a user would, in processes of their own.

with running_up(f"chdb://{tmp_path}/data", tmp_path) as up:
    up.rows("SELECT * FROM actions")
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fanlight_collectors.cli.target import read_rows
from fanlight_collectors.cli.through_up import UpReader
from fanlight_schema.refresh import STANDING_MARKS

SUPPORT = Path(__file__).resolve().parent
FANLIGHT = (sys.executable, "-m", "fanlight_collectors.cli")
START_TIMEOUT_S = 180  # not a claim: a cold disk has taken a minute to load the engine
POLL_S = 0.2
SPOOL = Path(tempfile.gettempdir(), f"fanlight-tests-{os.getuid()}-{os.getpid()}")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Up:
    """A `fanlight up` that answers at `url`."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path
    token_file: Path

    def reader(self) -> UpReader:
        """Asks it as `fanlight sql --store URL` does."""
        return UpReader(self.url, self.token_file.read_text().strip())

    def rows(self, sql: str) -> list[Row]:
        """The answer to one SELECT."""
        with closing(self.reader()) as reader:
            return read_rows(reader, sql).objects()

    def settle(self, timeout_s: float = 180) -> float:
        """Waits until every acknowledged span is in every view; the seconds that it took.

        DESIGN promises five; on a machine that is busy with other tests it may be more.
        """
        started = time.monotonic()
        while self.rows(STANDING_MARKS) != [{"count()": 0}]:
            waited_s = time.monotonic() - started
            assert waited_s < timeout_s, f"spans are not in the figures after {waited_s:.0f} s"
            time.sleep(POLL_S)
        return time.monotonic() - started

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ends it and returns its exit code, which is minus the signal where that killed it."""
        self.process.send_signal(how)
        return self.process.wait(timeout=START_TIMEOUT_S)


@contextmanager
def running_up(store: str, folder: Path, *, port: int | None = None) -> Iterator[Up]:
    """`fanlight up` on a free port of loopback; its log and its state lie in `folder`."""
    port = port or free_port()
    log = folder / f"up-{port}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*FANLIGHT, "up", "--store", store, "--listen", f"127.0.0.1:{port}"],
            cwd=folder,
            env={**clean_environment(), "XDG_STATE_HOME": str(folder)},
            stdout=output,
            stderr=output,
        )
    in_state = folder / "fanlight" / f"sql-token-{port}"
    in_data = Path(store.removeprefix("chdb://")) / "sql-token"
    token_file = in_data if store.startswith("chdb://") else in_state
    up = Up(f"http://127.0.0.1:{port}", process, log, token_file)
    try:
        _wait_until_healthy(up)
        yield up
    finally:
        if process.poll() is None:
            up.stop()


def run_program(
    script: Path, *arguments: str, timeout_s: float = 600, python: str = sys.executable, **environment: str
) -> str:
    """What a Python program prints; AssertionError with its errors if it fails."""
    return _output([python, str(script), *arguments], environment, timeout_s)


def run_fanlight(*arguments: str, timeout_s: float = 120, **environment: str) -> str:
    """What a `fanlight` command prints; AssertionError with its errors if it fails."""
    return _output([*FANLIGHT, *arguments], environment, timeout_s)


def _output(command: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> str:
    done = subprocess.run(
        command,
        env={**clean_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, f"{command[:4]} ended with {done.returncode}: {done.stderr[-4000:]}"
    return done.stdout


@contextmanager
def running_server(script: Path, *arguments: str, **environment: str) -> Iterator[int]:
    """A program that prints its port as its first line and then serves; yields the port."""
    process = subprocess.Popen(
        [sys.executable, script, *arguments],
        env={**clean_environment(), **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def clean_environment() -> dict[str, str]:
    """This process's variables less those that would steer what is tested, and a spool of the tests' own."""
    steering = ("OTEL_", "FANLIGHT_", "OPENAI_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    return {**kept, "FANLIGHT_SPOOL_DIR": str(SPOOL)}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_until_healthy(up: Up) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if up.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{up.url}/healthz", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(POLL_S)
    raise RuntimeError(
        f"fanlight up does not answer at {up.url}: {up.log.read_text(errors='replace')[-4000:]}"
    )
