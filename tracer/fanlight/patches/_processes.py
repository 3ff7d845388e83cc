"""Workers of multiprocessing and of process pools belong to the action of whoever started or submitted.

A forked process has its parent's context anyway. One that is spawned, or forked by a fork server, gets it
with the process object that multiprocessing sends there; unpickling it switches the tracer on as well.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from opentelemetry.context import Context

from fanlight._carrier import headers_of
from fanlight._guard import guard, guarded
from fanlight._inheritance import take_over
from fanlight._runtime import runtime
from fanlight.patches._carry import EMPTY, ProcessTask, ThreadTask, call_in, carried
from fanlight.patches._hooks import Hook
from fanlight.patches._threads import watch_submit

MODULES = ("multiprocessing.process", "multiprocessing.pool", "concurrent.futures.process")
_POOL_METHODS = ("apply_async", "map", "map_async", "starmap", "starmap_async", "imap", "imap_unordered")
_HANDED_OVER = "_fanlight"
_reading = guard("patches.hand_over")


def patch_module(module: ModuleType) -> list[Hook]:
    """Watch every process, every pool of multiprocessing, or every process pool of concurrent.futures."""
    if module.__name__ == "multiprocessing.process":
        return [_watch_start(module.BaseProcess)]
    if module.__name__ == "multiprocessing.pool":
        pool, thread_pool = module.Pool, module.ThreadPool
        return [_watch_pool(pool), *(_watch_tasks(pool, thread_pool, name) for name in _POOL_METHODS)]
    return [watch_submit(module.ProcessPoolExecutor, _process_task)]


class HandOver:
    """Pickled with a process object; unpickled, it has done its work and is None."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __reduce__(self) -> Any:
        return _receive, (self._headers, runtime.subprocesses, runtime.export_url is not None)


@guarded
def _receive(headers: Mapping[str, str], instrument: bool, export: bool) -> None:
    """In the worker, before it runs anything of the app."""
    if instrument:
        import fanlight

        fanlight.instrument(export=export)
    take_over(headers)


def _watch_start(owner: Any) -> Hook:
    hook = Hook(owner, "start")
    original = hook.original

    @functools.wraps(original)
    def start(process: Any) -> Any:
        if (
            not hook.on
            or not runtime.on
            or getattr(process, "_start_method", None) == "fork"
            or not _same_python()
        ):
            return original(process)
        with _reading:
            context = carried()
            vars(process)[_HANDED_OVER] = HandOver({} if context is None else headers_of(context))
        try:
            return original(process)
        finally:
            vars(process).pop(_HANDED_OVER, None)

    hook.put(start)
    return hook


def _same_python() -> bool:
    """Whether workers run the interpreter that runs here: another one may have no fanlight to unpickle."""
    spawn = sys.modules.get("multiprocessing.spawn")
    executable = None if spawn is None else spawn.get_executable()
    return executable is None or os.fsdecode(executable) == sys.executable


def _process_task(_: object, function: Any, context: Context) -> Any:
    return ProcessTask.of(function, context) if _same_python() else function


def _watch_pool(owner: Any) -> Hook:
    """A pool outlives the action that it was made in: its workers start outside any."""
    hook = Hook(owner, "__init__")
    original = hook.original

    @functools.wraps(original)
    def init(*args: Any, **kwargs: Any) -> None:
        if not hook.on or carried() is None:
            original(*args, **kwargs)
        else:
            call_in(EMPTY, original, *args, **kwargs)

    hook.put(init)
    return hook


def _watch_tasks(owner: Any, thread_pool: Any, name: str) -> Hook:
    hook = Hook(owner, name)
    original = hook.original

    @functools.wraps(original)
    def method(pool: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
        context = carried() if hook.on else None
        if context is None:
            return original(pool, func, *args, **kwargs)
        in_threads = isinstance(pool, thread_pool)
        task = ThreadTask(func, context) if in_threads else _process_task(pool, func, context)
        return original(pool, task, *args, **kwargs)

    hook.put(method)
    return hook
