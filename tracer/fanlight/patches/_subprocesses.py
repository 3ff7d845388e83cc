"""Programs that this process starts belong to its action, by their environment.

`TRACEPARENT` and `BAGGAGE` name the action; a Python program without any set-up of its own finds fanlight's
`sitecustomize` on its `PYTHONPATH`, which switches the tracer on when a model client is imported. Variables
are only added, for the child alone: what the app has set stays, and so does the environment of this process.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from fanlight._carrier import headers_of
from fanlight._cascade import here
from fanlight._config import INHERITED, OPTIONS
from fanlight._guard import guarded
from fanlight._inheritance import came_from_outside
from fanlight._runtime import runtime
from fanlight.patches._carry import carried
from fanlight.patches._hooks import Hook

MODULES = ("subprocess", "os")
ON_IMPORT = "FANLIGHT_TRACE_ON_IMPORT"  # read by _auto/sitecustomize.py
_AUTO = str(Path(__file__).parent.parent / "_auto")
_SECRET = ("headers",)  # a child that was given an environment of its own gets no token
_SETTINGS = tuple(name for option in OPTIONS if option.name not in _SECRET for name in option.env)

Environment = Mapping[Any, Any]  # of text or of bytes


def patch_module(module: ModuleType) -> list[Hook]:
    """Watch what starts programs: subprocess.Popen, os.posix_spawn and os.posix_spawnp."""
    if module.__name__ == "subprocess":
        return _watch(module.Popen, "_execute_child", behind_self=True)
    found = [name for name in ("posix_spawn", "posix_spawnp") if hasattr(module, name)]
    return [hook for name in found for hook in _watch(module, name, place=2)]


def _watch(owner: Any, name: str, *, behind_self: bool = False, place: int | None = None) -> list[Hook]:
    """Below `Popen.__init__`, whose warnings point at its caller by counting frames."""
    hook = Hook(owner, name)
    original = hook.original
    if place is None:
        parameters = list(inspect.signature(original).parameters)
        if "env" not in parameters:
            return []  # not CPython's: gevent's and others' have it, too
        place = parameters.index("env")

    @functools.wraps(original)
    def start(*args: Any, **kwargs: Any) -> Any:
        if hook.on and runtime.on:
            args, kwargs = _with_environment(args, kwargs, place) or (args, kwargs)
        return original(*args, **kwargs)

    hook.put(start)
    return [hook]


@guarded
def _with_environment(
    args: tuple[Any, ...], kwargs: dict[str, Any], place: int
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    given = kwargs["env"] if "env" in kwargs else args[place]
    environment = child_environment(given)
    if environment is None:
        return None
    if "env" in kwargs:
        return args, {**kwargs, "env": environment}
    return (*args[:place], environment, *args[place + 1 :]), kwargs


def child_environment(given: Environment | None) -> Environment | None:
    """The environment for a child instead of `given` (None: this process's); None to leave it alone."""
    if given is not None and not isinstance(given, Mapping):
        return None
    base: Environment = dict(os.environ if given is None else given)
    added = {**_action_variables(base), **(_set_up(base, clean=given is not None))}
    return {**base, **added} if added else None


def _action_variables(base: Environment) -> dict[str, str]:
    """TRACEPARENT and BAGGAGE of the running code; nothing where the app has set a TRACEPARENT itself."""
    if carried() is None:
        return {}
    headers = {name.upper(): value for name, value in headers_of(here()).items()}
    if _set_by_app(base, "TRACEPARENT"):
        return {}
    return {name: headers[name] for name in INHERITED if name in headers and not _set_by_app(base, name)}


def _set_by_app(base: Environment, name: str) -> bool:
    value = base.get(name, base.get(os.fsencode(name)))
    return value is not None and not came_from_outside(name, value)


def _set_up(base: Environment, *, clean: bool) -> dict[str, str]:
    """What makes a Python child trace itself, and where its spans go."""
    if not runtime.subprocesses or os.fsencode("PYTHONPATH") in base:
        return {}
    path = base.get("PYTHONPATH") or ""
    if _AUTO in path.split(os.pathsep):
        return {}
    settings = {name: os.environ[name] for name in _SETTINGS if name in os.environ and name not in base}
    return {
        **(settings if clean else {}),
        ON_IMPORT: "1",
        "PYTHONPATH": _AUTO + os.pathsep + path if path else _AUTO,
    }
