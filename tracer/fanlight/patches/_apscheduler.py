"""APScheduler 3: each run of a job is an action of origin `schedule`, whoever started the scheduler.

Its executors have imported `run_job` by name, and a process pool pickles it by name: so all of them get the
same replacement, and `apscheduler.executors.base` too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from fanlight._tasks import task
from fanlight.patches._hooks import Hook

MODULES = tuple(
    f"apscheduler.executors.{name}"
    for name in ("base", "pool", "asyncio", "gevent", "twisted", "tornado", "debug")
)

_originals: dict[Any, Any] = {}


def patch_module(module: ModuleType) -> list[Hook]:
    """Watch every job that an executor runs."""
    watched = (("run_job", _watched), ("run_coroutine_job", _watched_async))
    return [_watch(module, name, watch) for name, watch in watched if hasattr(module, name)]


def _watch(module: ModuleType, name: str, watch: Callable[[Any], Any]) -> Hook:
    found = getattr(module, name)
    setattr(module, name, _originals.get(found, found))  # it may be the replacement, imported from `base`
    hook = Hook(module, name)
    replacement = watch(hook.original)
    _originals[replacement] = hook.original
    hook.put(replacement)
    return hook


@functools.cache
def _watched(original: Any) -> Any:
    @functools.wraps(original)
    def run_job(job: Any, jobstore_alias: Any, run_times: Any, logger_name: Any) -> Any:
        events: list[Any] = []
        for run_time in run_times:  # runs that were put off come together, and are actions of their own
            with task(_name(job), None, "schedule") as outcome:
                events += original(job, jobstore_alias, [run_time], logger_name)
                outcome.error = _error_of(events)
        return events

    return run_job


@functools.cache
def _watched_async(original: Any) -> Any:
    @functools.wraps(original)
    async def run_coroutine_job(job: Any, jobstore_alias: Any, run_times: Any, logger_name: Any) -> Any:
        events: list[Any] = []
        for run_time in run_times:
            with task(_name(job), None, "schedule") as outcome:
                events += await original(job, jobstore_alias, [run_time], logger_name)
                outcome.error = _error_of(events)
        return events

    return run_coroutine_job


def _name(job: Any) -> str:
    return str(getattr(job, "name", "job"))


def _error_of(events: list[Any]) -> BaseException | None:
    """APScheduler catches what a job raises, and tells it in the event of the run."""
    return getattr(events[-1], "exception", None) if events else None
