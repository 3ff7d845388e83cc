"""Runs code when a module is imported for the first time, without importing it itself."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType

from fanlight._guard import guarded

OnImport = Callable[[str, ModuleType], None]  # what was imported; a module's own `__name__` may be another's


class ImportWatch(importlib.abc.MetaPathFinder):
    """A finder that finds nothing itself: it asks the others and lets `on_import` see the loaded module."""

    def __init__(self, names: Sequence[str], on_import: OnImport) -> None:
        self._names = frozenset(names)
        self._on_import = guarded(on_import)

    def install(self) -> None:
        """Watch from now on; modules that are loaded already are seen at once."""
        sys.meta_path.insert(0, self)
        for name in self._names:
            module = sys.modules.get(name)
            if module is not None and not _still_loading(module):
                self._on_import(name, module)

    def remove(self) -> None:
        """Stop watching."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._names:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    _announce(spec.loader, fullname, self._on_import)
                return spec
        return None


@guarded
def _announce(loader: object, name: str, on_import: Callable[[str, ModuleType], object]) -> None:
    """Have this one loader tell when it has executed its module. It keeps its type: others look at it."""
    original = getattr(loader, "exec_module", None)
    if original is None:
        return

    def exec_module(module: ModuleType) -> None:
        vars(loader).pop("exec_module", None)
        original(module)
        on_import(name, module)

    vars(loader)["exec_module"] = exec_module


def _still_loading(module: ModuleType) -> bool:
    spec = getattr(module, "__spec__", None)
    return bool(getattr(spec, "_initializing", False))
