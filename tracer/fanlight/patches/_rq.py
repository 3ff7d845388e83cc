"""RQ: a job's meta carries the action of whoever enqueued it, and it runs in that.

A job that nobody's action enqueued is an action of its own; one of a cron or a repeated one is scheduled,
and each of its runs is an action, whoever set it up. A further try is part of the action of the first.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from fanlight._carrier import carrier
from fanlight._guard import guard, guarded
from fanlight._runtime import runtime
from fanlight._tasks import KEY, SCHEDULED, Visit, by_schedule, carried_by_message, enter_task, leave_task
from fanlight.patches._hooks import Hook

MODULES = ("rq.job", "rq.cron", "rq.worker")

_enqueuing = guard("patches.rq.enqueue")
_flushing = guard("patches.rq.flush")


def patch_module(module: ModuleType) -> list[Hook]:
    """Watch every job that is made or run, every cron, or the processes that jobs run in."""
    if module.__name__ == "rq.job":
        return [_watch_create(module.Job), _watch_perform(module.Job)]
    if module.__name__ == "rq.cron":
        return [_watch_cron(module.CronJob)]
    base = getattr(module, "BaseWorker", None)
    return [_watch_process(base if hasattr(base, "perform_job") else module.Worker)]  # the latter before RQ 3


def _watch_create(owner: Any) -> Hook:
    hook = Hook(owner, "create")
    original = hook.original.__func__  # type: ignore[attr-defined]  # a class method

    @functools.wraps(original)
    def create(*args: Any, **kwargs: Any) -> Any:
        job = original(*args, **kwargs)
        if hook.on:
            with _enqueuing:
                carried = carried_by_message()
                if carried and KEY not in job.meta:
                    job.meta = {**job.meta, KEY: carried}
        return job

    hook.put(classmethod(create))
    return hook


def _watch_cron(owner: Any) -> Hook:
    hook = Hook(owner, "enqueue")
    original = hook.original

    @functools.wraps(original)
    def enqueue(*args: Any, **kwargs: Any) -> Any:
        with by_schedule():
            return original(*args, **kwargs)

    hook.put(enqueue)
    return hook


def _watch_perform(owner: Any) -> Hook:
    hook = Hook(owner, "perform")
    original = hook.original

    @functools.wraps(original)
    def perform(job: Any) -> Any:
        visit = _enter(job) if hook.on else None
        try:
            result = original(job)
        except BaseException as error:
            _leave(job, visit, error, tried_again=bool(job.retries_left))
            raise
        _leave(job, visit, None, tried_again=type(result).__name__ == "Retry")
        return result

    hook.put(perform)
    return hook


@guarded
def _enter(job: Any) -> Visit | None:
    return enter_task(job.func_name, SCHEDULED if _is_repeated(job) else job.meta.get(KEY))


def _is_repeated(job: Any) -> bool:
    """By RQ's own Repeat, or by the package rq-scheduler, which writes these into the meta (0.14)."""
    return getattr(job, "repeats_left", None) is not None or not {"interval", "cron_string"}.isdisjoint(
        job.meta
    )


@guarded
def _leave(job: Any, visit: Visit | None, error: BaseException | None, *, tried_again: bool) -> None:
    if visit is None:
        return
    if tried_again:
        job.meta = {**job.meta, KEY: carrier()}  # saved with the job when it is queued again
    leave_task(visit, None if tried_again else error)


def _watch_process(owner: Any) -> Hook:
    """A work horse is forked for one job, and ends without running what Python registers for that."""
    hook = Hook(owner, "perform_job")
    original = hook.original

    @functools.wraps(original)
    def perform_job(worker: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(worker, *args, **kwargs)
        finally:
            if hook.on and runtime.sink is not None and getattr(worker, "is_horse", False):
                with _flushing:
                    runtime.sink.flush(runtime.shutdown_timeout_s)

    hook.put(perform_job)
    return hook
