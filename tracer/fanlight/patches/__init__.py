"""Everything that touches other people's clients; the only place of the tracer that does.

    install_all()            # every supported client, loaded or still to be imported
    wrap_client(OpenAI())    # one client
    uninstall_all()          # no hook is left

Layers: `_operations` opens calls (where, the module of each SDK's family says); `_httpx`, `_urllib3` and the
like see requests and tell `_sends` of them; `_call` holds the truth of a call until its span ends.
`_logfire` keeps both awake below its spans. `_threads`, `_processes` and `_subprocesses` carry the action
along; `_web`, `_celery`, `_rq`, `_dramatiq` and `_apscheduler` are where actions begin by themselves.
`frameworks` makes steps of the agents and tools of agent frameworks.
"""

from __future__ import annotations

import atexit
import functools
import threading
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TypeVar

from fanlight._guard import guarded
from fanlight.patches import (
    _aiohttp,
    _aiohttp_sockets,
    _apscheduler,
    _background,
    _botocore,
    _celery,
    _cohere,
    _dramatiq,
    _google,
    _http_client,
    _httpx,
    _logfire,
    _processes,
    _rq,
    _speakeasy,
    _stainless,
    _subprocesses,
    _threads,
    _urllib3,
    _web,
    _websockets,
    frameworks,
)
from fanlight.patches._call import end_open_calls
from fanlight.patches._hooks import Hook, SignalHook, remove_all
from fanlight.patches._imports import ImportWatch
from fanlight.patches._one_client import forget_wrapped, wrap_one

__all__ = ["end_open_calls", "install_all", "uninstall_all", "wrap_client"]

T = TypeVar("T")

_SDKS = (_stainless, _google, _speakeasy, _cohere, _botocore)
_TRANSPORTS = (_httpx, _http_client, _urllib3, _aiohttp, _websockets, _aiohttp_sockets)
_ENTRIES = (_web, _celery, _rq, _dramatiq, _apscheduler)

# What is done to a module once it is loaded.
_PATCHES: dict[str, Callable[[ModuleType], Sequence[Hook | SignalHook]]] = {
    **{
        name: family.patch_module
        for family in (*_SDKS, *_TRANSPORTS, _logfire, _threads, _processes, _subprocesses, *_ENTRIES)
        for name in family.MODULES
    },
    **frameworks.PATCHES,
}

_lock = threading.RLock()
_watch: ImportWatch | None = None
_hooks: list[Hook | SignalHook] = []


def install_all() -> None:
    """Watch every supported client of this process; those not imported yet when they are. Idempotent."""
    global _watch
    with _lock:
        _end_open_calls_at_exit()
        if _watch is None:
            _watch = ImportWatch(tuple(_PATCHES), _patch)
            _watch.install()


@guarded
def uninstall_all() -> None:
    """Restore all that `install_all` and `wrap_client` replaced, and end what is still open."""
    global _watch
    end_open_calls()
    with _lock:
        if _watch is not None:
            _watch.remove()
            _watch = None
        remove_all([*_hooks, *forget_wrapped()])
        _hooks.clear()
    _background.forget_all()


def wrap_client(client: T) -> T:
    """Watch one client of a supported SDK, or of httpx or httpx2, and give it back.

    TypeError if fanlight does not know clients of that type.
    """
    with _lock:
        _end_open_calls_at_exit()
        wrap_one(client)
    return client


@functools.cache
def _end_open_calls_at_exit() -> None:
    """Registered after the tracer's own last flush, so it runs before it."""
    atexit.register(end_open_calls)


def _patch(name: str, module: ModuleType) -> None:
    with _lock:
        if _watch is not None:
            _hooks.extend(_PATCHES[name](module))
