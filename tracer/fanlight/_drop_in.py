"""A module that is somebody else's package, traced: `fanlight.openai` is openai.

It reads and sets everything there, but what is the import system's own; the first name that is asked for
imports the package and switches `fanlight.instrument()` on.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType


def become(name: str, package: str) -> None:
    """Make the module `name` a drop-in for `package`."""

    class DropIn(ModuleType):
        def __getattr__(self, attribute: str) -> object:
            if attribute.startswith("__") and attribute != "__all__":
                raise AttributeError(attribute)
            return getattr(_traced(name, package), attribute)

        def __setattr__(self, attribute: str, value: object) -> None:
            if attribute.startswith("__"):
                super().__setattr__(attribute, value)
            else:
                setattr(_traced(name, package), attribute, value)

        def __delattr__(self, attribute: str) -> None:
            delattr(_traced(name, package), attribute)

        def __dir__(self) -> list[str]:
            return sorted(_traced(name, package).__all__)

    sys.modules[name].__class__ = DropIn


def _traced(name: str, package: str) -> ModuleType:
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ImportError(
            f"{name} needs the {package} package, which is not installed; pip install {package}", name=package
        ) from error
    from fanlight import instrument

    instrument()
    return module
