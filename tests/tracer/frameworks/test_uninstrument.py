"""After `uninstrument()` no hook is left anywhere, in this environment's versions of all that is patched."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "support" / "leftovers.py"


@pytest.mark.parametrize("order", ["instrument wrap", "wrap instrument"])
def test_every_module_class_and_client_is_as_it_was(order: str) -> None:
    """In a process of its own, that has imported every module which fanlight patches."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *order.split()],
        env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    said, *left = done.stdout.strip().splitlines()
    assert left == []
    touched = re.fullmatch(r"(\d+) modules, (\d+) clients, (\d+) places touched", said)
    assert touched is not None
    assert int(touched[3]) > int(touched[1]) > 5
