"""What a test needs from the machine: missing means skipped here, and a failure in CI."""

import importlib
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

# The environments that have to have it.
FRAMEWORKS = {
    "agents": (".venv-frameworks",),
    "langchain": (".venv-frameworks",),
    "langgraph": (".venv-frameworks",),
    "mcp": (".venv-frameworks", ".venv-frameworks2"),
    "pydantic_ai": (".venv-frameworks",),
    "smolagents": (".venv-frameworks",),
    "claude_agent_sdk": (".venv-frameworks",),
    "llama_index": (".venv-frameworks2",),
    "crewai": (".venv-frameworks2",),
}


def in_ci() -> bool:
    """Whether whatever is missing is a failure."""
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def require(present: bool, what: str) -> None:
    """Skips the test with a reason if `what` is missing; with CI=true that is a failure."""
    if present:
        return
    if in_ci():
        pytest.fail(f"CI must have {what}, and it is missing", pytrace=False)
    pytest.skip(f"{what} is missing; `make setup` installs it")


def framework(name: str) -> Any:
    """An agent framework, imported; without it the whole test module is skipped.

    They conflict with each other and with newer SDKs, so they live in environments of their own (`make
    test-sdks`). In CI one that is missing from its own environment is a failure.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it says while it loads is its makers' to hear
            return importlib.import_module(name)
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] != name.partition(".")[0]:
            raise
    environments = FRAMEWORKS[name.partition(".")[0]]
    if Path(sys.prefix).name in environments and in_ci():
        pytest.fail(f"CI must have {name} in {sys.prefix}, and it is missing", pytrace=False)
    where = " and ".join(environments)
    pytest.skip(f"{name} is in {where}; `make test-sdks` runs its tests", allow_module_level=True)
