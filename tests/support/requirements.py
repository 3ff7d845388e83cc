"""What a test needs from the machine: missing means skipped here, and a failure in CI."""

import os

import pytest


def require(present: bool, what: str) -> None:
    """Skips the test with a reason if `what` is missing; with CI=true that is a failure."""
    if present:
        return
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(f"CI must have {what}, and it is missing", pytrace=False)
    pytest.skip(f"{what} is missing; `make setup` installs it")
