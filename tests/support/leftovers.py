"""What a process looks like to the code in it: each attribute of each module and class, but fanlight's.

before = everything()
fanlight.instrument(); fanlight.uninstrument()
assert changed(before, everything()) == []

Run as a program, it does so with all that fanlight knows of and that is installed, in the order that its
arguments give (`instrument`, `wrap`), and prints what is left.
"""

from __future__ import annotations

import functools
import gc
import importlib
import os
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fanlight

OURS = str(Path(fanlight.__file__).parent)


CODE = (
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    staticmethod,
    classmethod,
    property,
    functools.partial,
)


@dataclass(frozen=True)
class State:
    """By a name that a person can look up."""

    code: dict[str, object]  # of modules and classes; compared by identity
    rest: dict[str, object]  # what else hooks can be in; compared by value


def everything() -> State:
    code: dict[str, object] = {}
    rest: dict[str, object] = {
        "sys.meta_path": list(map(id, sys.meta_path)),
        "gc.callbacks": list(map(id, gc.callbacks)),
        "excepthooks": [sys.excepthook, threading.excepthook],
        "os.environ": dict(os.environ),
    }
    for name, module in list(sys.modules.items()):
        if not isinstance(module, types.ModuleType) or name.startswith(("fanlight", "__main__", __name__)):
            continue
        for attribute, value in list(vars(module).items()):
            code[f"{name}.{attribute}"] = value
            if issubclass(type(value), type) and not str(value.__module__).startswith("fanlight"):
                for method, function in list(vars(value).items()):
                    code[f"{value.__module__}.{value.__qualname__}.{method} in {name}"] = function
            elif isinstance(receivers := _own(value).get("receivers"), list):  # a signal
                rest[f"{name}.{attribute}"] = len(receivers)
    return State(code, rest)


def changed(before: State, after: State) -> list[str]:
    """The code that was replaced, that of fanlight wherever it is, and what differs beside code."""
    left = [name for name, value in after.code.items() if is_ours(value)]
    left += _ours_in_objects()
    left += [
        name
        for name, value in before.code.items()
        if issubclass(type(value), CODE) and after.code.get(name, value) is not value
    ]
    left += [name for name, value in before.rest.items() if after.rest[name] != value]
    return sorted(set(left))


def _ours_in_objects() -> list[str]:
    """Attributes of single objects that are code of fanlight's."""
    found = []
    for owner in gc.get_objects():
        kind = type(owner)
        if kind in (types.FunctionType, types.ModuleType) or issubclass(kind, type):
            continue
        whose = _own(owner).get("__module__", kind.__module__)  # a function's cache says whose function it is
        if not str(whose).startswith("fanlight"):
            found += [
                f"{kind.__qualname__}().{name}" for name, value in _own(owner).items() if is_ours(value)
            ]
    return found


def _own(value: object) -> dict[str, object]:
    """An object's own attributes, without running a line of its code."""
    try:
        found: dict[str, object] = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return found if isinstance(found, dict) else {}


def is_ours(value: Any) -> bool:
    """Code of fanlight's, also behind a descriptor or a partial. `type`, for lazy objects load when asked."""
    while True:
        kind = type(value)
        if kind is functools.partial:
            value = value.func
        elif kind in (staticmethod, classmethod, types.MethodType):
            value = value.__func__
        elif kind is property:
            value = value.fget
        else:
            return kind is types.FunctionType and value.__code__.co_filename.startswith(OURS)


def _import_all() -> list[str]:
    from fanlight import patches

    imported = []
    for name in (*patches._PATCHES, "requests", "boto3", "urllib3"):
        try:
            importlib.import_module(name)
        except ImportError:  # not installed here, or not this version of it
            continue
        imported.append(name)
    return imported


def _clients() -> Iterator[Any]:
    """One of each that can be wrapped, as far as it is installed."""
    key = {"api_key": "k"}
    makers: list[tuple[str, Callable[[Any], Any]]] = [
        ("openai", lambda m: m.OpenAI(**key)),
        ("openai", lambda m: m.AsyncOpenAI(**key)),
        ("anthropic", lambda m: m.Anthropic(**key)),
        ("groq", lambda m: m.Groq(**key)),
        ("google.genai", lambda m: m.Client(**key)),
        ("mistralai.client", lambda m: m.Mistral(**key)),
        ("cohere", lambda m: m.ClientV2(**key)),
        ("ollama", lambda m: m.Client()),
        ("httpx", lambda m: m.Client()),
        ("httpx2", lambda m: m.AsyncClient()),
        ("requests", lambda m: m.Session()),
        ("urllib3", lambda m: m.PoolManager()),
        ("boto3", lambda m: m.client("bedrock-runtime", region_name="us-east-1", **_AWS)),
    ]
    for name, make in makers:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        if hasattr(module, "Mistral") or name != "mistralai.client":
            yield make(module)


_AWS = {"aws_access_key_id": "k", "aws_secret_access_key": "k"}


def main(order: list[str]) -> None:
    """What is left of each client's attributes, and of everything."""
    imported = _import_all()
    clients = list(_clients())
    attributes = [dict(vars(client)) for client in clients]
    before = everything()
    for step in order:
        if step == "instrument":
            fanlight.instrument()
        else:
            for client in clients:
                fanlight.wrap(client)
    touched = changed(before, everything())
    fanlight.uninstrument()
    left = changed(before, everything())
    for client, had in zip(clients, attributes, strict=True):
        left += [
            f"{type(client)}: {name}" for name, value in had.items() if vars(client).get(name) is not value
        ]
    print(f"{len(imported)} modules, {len(clients)} clients, {len(touched)} places touched")
    print(*left, sep="\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1:])
