"""Programs that run in a Python of their own."""

import subprocess
import sys
import textwrap


def run_python(code: str, **environment: str) -> str:
    """What a program prints; it must succeed without a word on stderr."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", **environment},
        timeout=60,
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout
