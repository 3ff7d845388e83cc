"""Files for agent frameworks are found, and loaded only for a framework that is there."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import requirements
from fanlight.patches import frameworks

LOADED = """
import fanlight, sys
fanlight.instrument(export=False)
print([name for name in sys.modules if "frameworks." in name])
"""


@pytest.mark.parametrize("family", sorted(set(frameworks.FAMILIES.values())))
def test_every_module_that_a_file_knows_is_listed(family: str) -> None:
    known = importlib.import_module(f"fanlight.patches.frameworks.{family}").PATCHES
    assert set(known) == {name for name, file in frameworks.FAMILIES.items() if file == family}


def test_a_framework_that_is_not_loaded_costs_no_import() -> None:
    assert subprocess.check_output([sys.executable, "-c", LOADED], text=True) == "[]\n"


def test_an_apps_own_package_called_agents_is_left_alone() -> None:
    assert frameworks.PATCHES["agents.tracing.spans"](ModuleType("agents.tracing.spans")) == []


@pytest.mark.parametrize(
    ("ci", "ends"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)], ids=["ci", "elsewhere"]
)
def test_a_framework_that_its_environment_lacks_is_a_failure_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, ends: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setitem(requirements.FRAMEWORKS, "no_such_framework", (Path(sys.prefix).name,))
    with pytest.raises(ends, match="no_such_framework"):
        requirements.framework("no_such_framework.agents")
