"""Threads and thread pools go on with the action of whoever started or submitted.

Only OpenTelemetry's context crosses; the app's own context variables are as without fanlight.
"""

from __future__ import annotations

import contextvars
import functools
import sys
from types import ModuleType
from typing import Any

from opentelemetry.context import Context, attach

from fanlight._guard import guarded
from fanlight.patches._carry import EMPTY, ThreadTask, call_in, carried
from fanlight.patches._hooks import Hook

MODULES = ("threading", "concurrent.futures.thread")


def patch_module(module: ModuleType) -> list[Hook]:
    """Watch every thread, or every thread pool of concurrent.futures."""
    if module.__name__ == "threading":
        return [_watch_start(module.Thread)]
    return [watch_submit(module.ThreadPoolExecutor, _thread_task)]


def _thread_task(executor: Any, function: Any, context: Context) -> Any:
    """Python 3.14's InterpreterPoolExecutor is a thread pool that pickles its functions: left as they are."""
    others = sys.modules.get("concurrent.futures.interpreter")
    if others is not None and isinstance(executor, others.InterpreterPoolExecutor):
        return function
    return ThreadTask(function, context)


def _watch_start(owner: Any) -> Hook:
    hook = Hook(owner, "start")
    original = hook.original

    @functools.wraps(original)
    def start(thread: Any) -> Any:
        context = carried() if hook.on else None
        if context is None:
            return original(thread)
        _prepare(thread, context)
        try:
            return original(thread)
        except BaseException:
            vars(thread).pop("_bootstrap_inner", None)
            raise

    hook.put(start)
    return hook


@guarded
def _prepare(thread: Any, context: Context) -> None:
    """Have a thread that is about to start run in this context.

    Below `run`, which subclasses override, and where no frame of ours is in a traceback.
    """
    if sys.version_info >= (3, 14):  # a thread has a context of its own
        _give_context(thread, context)
        return
    if thread._started.is_set():
        return

    held = [context]

    def begin() -> None:
        del thread._bootstrap_inner
        attach(held.pop())  # it ends with the thread, or sooner: this frame must not keep it
        thread._bootstrap_inner()

    thread._bootstrap_inner = begin


def _give_context(thread: Any, context: Context) -> None:
    if thread._context is None and not getattr(sys.flags, "thread_inherit_context", False):
        own = contextvars.Context()
        own.run(attach, context)
        thread._context = own


def watch_submit(owner: Any, task: Any) -> Hook:
    """Have an executor's tasks carry the action of who submits them; `task` makes them of functions."""
    hook = Hook(owner, "submit")
    original = hook.original

    @functools.wraps(original)
    def submit(executor: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        context = carried() if hook.on else None
        if context is None:
            return original(executor, fn, *args, **kwargs)
        return call_in(EMPTY, original, executor, task(executor, fn, context), *args, **kwargs)

    hook.put(submit)
    return hook
