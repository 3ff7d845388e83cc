"""A real `fanlight up` in a process of its own, on loopback, and small clients for it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

PROGRAM = """
import json, pathlib, sys
from fanlight_collectors.config import UpConfig
from fanlight_collectors.up import run_up
options = json.loads(sys.argv[1])
for name in ("state_folder", "spool_folder"):
    options[name] = pathlib.Path(options[name])
sys.exit(run_up(UpConfig(**options)))
"""
START_TIMEOUT_S = 180  # not a claim: a cold disk has taken a minute to load the engine


@dataclass(frozen=True)
class Up:
    """A running server: where it listens, its data folder, its process."""

    url: str
    folder: Path
    process: "subprocess.Popen[str]"
    greeting: str

    @property
    def sql_token(self) -> str:
        return (self.folder / "sql-token").read_text().strip()

    def post(
        self, body: bytes, content_type: str = "application/x-protobuf", **headers: str
    ) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request(
            "POST", "/v1/traces", content=body, headers={"content-type": content_type, **named}
        )

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        with httpx.Client(base_url=self.url, timeout=60, trust_env=False) as client:
            return client.request(method, path, **options)

    def sql(self, statement: str, **options: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.sql_token}", **options.pop("headers", {})}
        return self.request("POST", "/v1/sql", content=statement.encode(), headers=headers, **options)

    def rows(self, statement: str) -> list[list[Any]]:
        answer = self.sql(statement)
        assert answer.status_code == 200, answer.text
        found: list[list[Any]] = answer.json()["data"]
        return found

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = START_TIMEOUT_S) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout_s)


def start_up(folder: Path, **options: object) -> "subprocess.Popen[str]":
    """The process; its first line on stdout says where it listens, one on stderr why it does not."""
    config = {
        "store": f"chdb://{folder}",
        "listen": "127.0.0.1:0",
        "state_folder": str(folder),
        "spool_folder": f"{folder}-spool",
        **options,
    }
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **_no_proxy()},
    )


def _no_proxy() -> Mapping[str, str]:
    return {"NO_PROXY": "127.0.0.1,localhost"}


@contextlib.contextmanager
def running_up(**options: object) -> Iterator[Up]:
    """A started server on a fresh folder; it is killed at the end if the test has not stopped it."""
    with tempfile.TemporaryDirectory(prefix="fanlight-up-") as folder:
        process = start_up(Path(folder), **options)
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(4)]
            found = re.search(r"http://[^\s:]+:\d+", lines[0])
            assert found, f"up did not start: {process.communicate(timeout=START_TIMEOUT_S)[1]}"
            yield Up(found[0], Path(folder), process, "".join(lines))
        finally:
            process.kill()
            process.communicate()
