"""`fanlight run -- CMD...`: trace a Python program that knows nothing of fanlight."""

import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from fanlight_collectors.cli.errors import unusable
from fanlight_collectors.config import DEFAULT_LISTEN, default_up_url

PROBE_TIMEOUT_S = 0.5
PROTOCOL_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def run(
    command: Annotated[list[str], typer.Argument(metavar="CMD", help="The program and its arguments.")],
    endpoint: Annotated[
        str | None,
        typer.Option(
            envvar="OTEL_EXPORTER_OTLP_ENDPOINT",
            help=f"Where the spans go: an OTLP/HTTP endpoint (default: http://{DEFAULT_LISTEN}).",
            metavar="URL",
        ),
    ] = None,
) -> None:
    """Trace a Python program without changing it.

    The program runs as it would without fanlight: same output, same exit code, same signals. Every supported
    client in it, and in the Python processes that it starts, is traced. The Python that runs it needs
    fanlight too: pip install fanlight in its environment.

    A call outside any action (fanlight.action() in the program, or an entry that fanlight knows) counts as an
    action of its own, with a fan-out of 1.

    Examples:
      fanlight run -- python my_agent.py --question "why?"
      fanlight run --endpoint http://collector:4318 -- uvicorn my_app:app
    """
    target = endpoint or default_up_url()
    _check_endpoint(target, os.environ)
    if shutil.which(command[0]) is None:
        raise unusable(
            f"{command[0]} is not a program on this machine; give it as: fanlight run -- python app.py"
        )
    if not _listens(target):
        sys.stderr.write(
            f"fanlight: nothing listens at {target}, so the spans of this run will be lost; "
            "start `fanlight up` in another terminal\n"
        )
    os.execvpe(command[0], command, instrumented_environment(os.environ, command, target))


def instrumented_environment(
    environment: Mapping[str, str], command: Sequence[str], endpoint: str
) -> dict[str, str]:
    """The environment in which a Python program instruments itself; what the user has set stays."""
    paths = [str(_auto_folder()), environment.get("PYTHONPATH", "")]
    # Below a traced program the environment says to wait for the first client; `run` never waits.
    inherited = {name: value for name, value in environment.items() if name != "FANLIGHT_TRACE_ON_IMPORT"}
    return {
        "OTEL_SERVICE_NAME": service_name(command),
        **inherited,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
    }


def service_name(command: Sequence[str]) -> str:
    """What to call the program: its script or module, else the program itself.

    >>> service_name(["python3", "-u", "bots/agent.py"]), service_name(["python", "-m", "bots.agent"])
    ('agent', 'bots.agent')
    """
    program, *rest = command
    if not Path(program).name.startswith("python"):
        return Path(program).stem
    if "-m" in rest[:-1]:
        return rest[rest.index("-m") + 1]
    script = next((argument for argument in rest if argument.endswith(".py")), program)
    return Path(script).stem


def _auto_folder() -> Path:
    spec = importlib.util.find_spec("fanlight")
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not folders or not (folder := Path(folders[0]) / "_auto").is_dir():
        raise unusable("the tracer is not installed here; install it with: pip install fanlight")
    return folder


def _check_endpoint(endpoint: str, environment: Mapping[str, str]) -> None:
    """CommandError for an endpoint that the tracer could not use; for gRPC a host and port are enough."""
    speaks_grpc = any(environment.get(name, "").strip() == "grpc" for name in PROTOCOL_VARIABLES)
    try:
        parts = urlsplit(endpoint)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number
        is_url = False
    if not is_url and not speaks_grpc:
        example = endpoint if endpoint.count(":") == 1 and "/" not in endpoint else DEFAULT_LISTEN
        raise unusable(f"--endpoint is {endpoint!r}; give a URL, for example http://{example}")


def _listens(endpoint: str) -> bool:
    parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "127.0.0.1", port), timeout=PROBE_TIMEOUT_S):
            return True
    except OSError:
        return False
