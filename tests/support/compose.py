"""Reads deploy/compose.yaml as Docker Compose does, and runs its services' own command lines on this machine.

There is no container: what a command line finds at a path, or at another service's address, is put where
`Here` says.

    here = Here(folder, {"clickhouse:8123": "127.0.0.1:51234"})
    compose.run(services["migrations"], here)
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from running import clean_environment

FILE = Path(__file__).resolve().parents[2] / "deploy" / "compose.yaml"
LOADER = FILE.parents[1] / ".cache" / "compose"
DEFAULT = re.compile(r"\$(?:\$|\{(\w+):-([^}]*)\})")


def project() -> dict[str, Any]:
    """The whole file."""
    return read(FILE.read_text())


def read(text: str) -> dict[str, Any]:
    """A file with its variables at their defaults, and `$$` as the `$` that a command gets."""
    told: dict[str, Any] = _filled(yaml.safe_load(text))
    return told


def loaded(*files: Path) -> dict[str, Any]:
    """The files as Compose's own loader reads and joins them; `make compose` builds it."""
    done = subprocess.run(
        [LOADER, *files], cwd=FILE.parent, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = yaml.safe_load(done.stdout)
    return told


def _filled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _filled(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part) for part in value]
    return DEFAULT.sub(lambda found: found[2] or "$", value) if isinstance(value, str) else value


def mounts(service: Mapping[str, Any]) -> dict[str, Path]:
    """Files and folders of the checkout by where the container has them."""
    pairs = [volume.split(":")[:2] for volume in service.get("volumes", [])]
    return {target: FILE.parent / source for source, target in pairs if source.startswith(".")}


def made_secrets(folder: Path) -> Path:
    """The folder of secrets that secrets.sh makes beside itself."""
    (folder / "secrets.sh").write_text((FILE.parent / "secrets.sh").read_text())
    subprocess.run(["sh", folder / "secrets.sh"], check=True, timeout=30)
    return folder / "secrets"


@dataclass(frozen=True, slots=True)
class Here:
    """Where things of the containers are on this machine: secrets in `folder`/secrets, the rest by name."""

    folder: Path
    places: Mapping[str, str]

    def put(self, text: str) -> str:
        for there, here in {"/run/secrets": str(self.folder / "secrets"), **self.places}.items():
            text = text.replace(there, here)
        return text


def arguments(service: Mapping[str, Any], here: Here, command: list[str] | None = None) -> list[str]:
    """What the container would start; with `command`, as `docker compose run SERVICE COMMAND` does."""
    return [
        here.put(part) for part in [*service.get("entrypoint", []), *(command or service.get("command", []))]
    ]


def environment(service: Mapping[str, Any], here: Here) -> dict[str, str]:
    """This environment, in which `fanlight` and `python` are those of the tests, with the service's own."""
    own = {name: here.put(str(value)) for name, value in service.get("environment", {}).items()}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**clean_environment(), "PATH": path, "HOME": str(here.folder), **own}


def run(
    service: Mapping[str, Any], here: Here, *command: str, timeout_s: float = 120
) -> "subprocess.CompletedProcess[str]":
    """A service that ends by itself."""
    return subprocess.run(
        arguments(service, here, list(command)),
        env=environment(service, here),
        cwd=here.folder,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@contextmanager
def running(service: Mapping[str, Any], here: Here, log: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """A service that goes on, until the end of the block; what it says is in `log`."""
    with log.open("wb") as said:
        process = subprocess.Popen(
            arguments(service, here),
            env=environment(service, here),
            cwd=here.folder,
            stdout=said,
            stderr=said,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=60)
