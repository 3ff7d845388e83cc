"""Programs that a command starts beside itself: a `fanlight up`, and the demo's agent."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from fanlight_collectors.cli.errors import CommandError, unusable
from fanlight_collectors.cli.through_up import answers

START_TIMEOUT_S = 60.0  # about 3 s on a machine that is not busy
STOP_TIMEOUT_S = 15.0
POLL_S = 0.05


@contextmanager
def started_up(data: Path, port: int) -> Iterator[str]:
    """A `fanlight up` of our own until the block ends; its address. CommandError if it does not start."""
    listen = f"127.0.0.1:{port}"
    command = [sys.executable, "-m", "fanlight_collectors.cli", "up", "--data", str(data), "--listen", listen]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FANLIGHT_")}
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C reaches us first; we stop it
    )
    try:
        _wait_until_up(process, f"http://{listen}")
        yield f"http://{listen}"
    finally:
        stop(process)


def stop(process: "subprocess.Popen[str]") -> None:
    """Ask a program to end, and make it end."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stderr is not None:
        process.stderr.close()


def run_lines(
    command: Sequence[str], environment: Mapping[str, str], on_line: Callable[[str], None]
) -> tuple[int, str]:
    """Run a program to its end, handing on its lines; its exit code and the end of what it said on stderr."""
    with subprocess.Popen(
        command, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        said: list[str] = []
        for line in process.stdout or ():
            said.append(line.rstrip("\n"))
            on_line(said[-1])
        return process.wait(), "\n".join(said[-5:])


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def typed_name() -> str:
    """How to call this command again: `fanlight` where that is this one, else as it was started.

    A path below the current folder is shown from there.
    """
    started = Path(sys.argv[0]).absolute()
    if started.name != "fanlight":
        return "fanlight"
    found = shutil.which("fanlight")
    if found is not None and Path(found).resolve() == started.resolve():
        return "fanlight"
    shown = started.relative_to(Path.cwd()) if started.is_relative_to(Path.cwd()) else started
    return shlex.quote(str(shown))


def _wait_until_up(process: "subprocess.Popen[str]", url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = (process.stderr.read() if process.stderr else "").strip()
            raise unusable(
                said.removeprefix("fanlight up: ").removeprefix("fanlight: ")
                or f"up ended with code {process.returncode}"
            )
        if answers(url):
            return
        time.sleep(POLL_S)
    raise CommandError(f"the collector did not answer at {url} within {START_TIMEOUT_S:.0f} s")
