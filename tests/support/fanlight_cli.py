"""Runs the real `fanlight` command in a process of its own, as a user in an empty environment would."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# Somebody's `up` may run at the usual port; a test's own has a port of its own, and is named.
NO_UP = {"FANLIGHT_UP_LISTEN": "127.0.0.1:9"}
OURS = ("FANLIGHT_", "OTEL_", "OPENAI_", "COLUMNS", "NO_COLOR", "FORCE_COLOR")


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This environment without what steers fanlight, OpenTelemetry, openai or rich, and without an up."""
    return {k: v for k, v in os.environ.items() if not k.startswith(OURS)} | NO_UP | dict(extra or {})


def run_cli(
    *arguments: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    columns: int | None = None,
    stdin: str | None = None,
    timeout_s: float = 120,
) -> "subprocess.CompletedProcess[str]":
    """`fanlight ARGUMENTS` in `folder`, on a terminal of so many columns (None: a pipe)."""
    extra = {**(environment or {}), **({"COLUMNS": str(columns)} if columns else {})}
    return subprocess.run(
        [sys.executable, "-m", "fanlight_collectors.cli", *arguments],
        cwd=folder,
        env=clean_environment(extra),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
