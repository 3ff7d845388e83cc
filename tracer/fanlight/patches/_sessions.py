"""One session of requests or aiohttp, one pool manager of urllib3, or one client of boto3.

What they send passes through classes that all of them share. Those are watched, but only while a method of a
client that was wrapped is running.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from fanlight.patches import _aiohttp, _botocore, _http_client, _urllib3
from fanlight.patches._hooks import Hook

# The method of each that everything which it sends passes through.
_SENDING = {
    ("requests.sessions", "Session"): "send",
    ("urllib3.poolmanager", "PoolManager"): "urlopen",
    ("aiohttp.client", "ClientSession"): "_request",
    ("botocore.client", "BaseClient"): _botocore.CALL,
    ("aiobotocore.client", "AioBaseClient"): _botocore.CALL,
}
CLIENTS = frozenset(_SENDING)
NAMES = "a session of requests or aiohttp, a PoolManager of urllib3, a client of boto3"

_inside: ContextVar[bool] = ContextVar("fanlight.wrapped", default=False)
_shared: dict[str, list[Hook]] = {}  # by the module whose classes are watched


class _ScopedHook(Hook):
    """On only inside of a wrapped client."""

    __slots__ = ("_switched_on",)

    @property
    def on(self) -> bool:
        return self._switched_on and _inside.get()

    @on.setter
    def on(self, value: bool) -> None:
        self._switched_on = value


def watch_client(client: Any) -> list[Hook]:
    """Watch one client, and what it shares with others."""
    names = {(kind.__module__, kind.__qualname__) for kind in type(client).__mro__}
    sending = next(method for owner, method in _SENDING.items() if owner in names)
    hooks = [watch_within(client, sending)]
    if sending == _botocore.CALL:
        hooks.append(_botocore.watch_calls(client))
    return hooks


def watch_within(client: Any, method: str) -> Hook:
    """Watch what a method of one client sends over the classes that are shared."""
    for transport in (_http_client, _urllib3, _aiohttp):
        for name in transport.MODULES:
            if name in sys.modules and name not in _shared:
                _shared[name] = transport.patch_module(sys.modules[name], _ScopedHook)
    return _scope(client, method)


def http_clients(client: Any) -> list[Any]:
    """None of them has a client of its own below."""
    return []


def forget_shared() -> list[Hook]:
    """The hooks in what wrapped clients share with others."""
    hooks = [hook for found in _shared.values() for hook in found]
    _shared.clear()
    return hooks


@contextlib.contextmanager
def _watching() -> Iterator[None]:
    token = _inside.set(True)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # a coroutine closed by the garbage collector
            _inside.reset(token)


def _scope(client: Any, name: str) -> Hook:
    hook = Hook(client, name)
    original = hook.original

    @functools.wraps(original)
    def send(*args: Any, **kwargs: Any) -> Any:
        with _watching():
            return original(*args, **kwargs)

    @functools.wraps(original)
    async def send_async(*args: Any, **kwargs: Any) -> Any:
        with _watching():
            return await original(*args, **kwargs)

    hook.put(send_async if inspect.iscoroutinefunction(original) else send)
    return hook
