"""A real Redis server on loopback, for queues that need one."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from requirements import require
from running import free_port
from serving import eventually


@contextmanager
def running_redis(folder: Path) -> Iterator[str]:
    """Its URL; a test that needs one is skipped where Debian's redis-server is not installed."""
    program = shutil.which("redis-server")
    require(program is not None, "redis-server (Debian's package of that name)")
    port = free_port()
    process = subprocess.Popen(
        [str(program), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: _answers(port))
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
