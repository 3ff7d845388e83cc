"""Celery: messages carry the action of whoever sends them, and tasks run in it. By Celery's own signals.

A task that nobody's action sent is an action of its own; one that beat sent is scheduled.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from fanlight._guard import guard
from fanlight._runtime import runtime
from fanlight._tasks import KEY, SCHEDULED, by_schedule, carried_by_message, enter_task, leave_task
from fanlight.patches._hooks import Hook, SignalHook

MODULES = ("celery.signals", "celery.beat")

_VISIT = "_fanlight_visit"  # on the task's request, which lives as long as one try
_BEAT = "celery_beat_task"  # a header that beat writes by itself, from Celery 5.7 on
_sending = guard("patches.celery.send")
_running = guard("patches.celery.run")


def patch_module(module: ModuleType) -> list[Hook | SignalHook]:
    """Watch every message that is sent, by beat or others, and every try of a task."""
    if module.__name__ == "celery.beat":
        return [_watch_beat(module.Scheduler)]
    receivers: tuple[tuple[Any, Callable[..., None]], ...] = (
        (module.before_task_publish, _sent),
        (module.task_prerun, _begun),
        (module.task_postrun, _done),
        (module.worker_process_shutdown, _worker_ends),
    )
    return [SignalHook(signal, receiver) for signal, receiver in receivers]


def _watch_beat(owner: Any) -> Hook:
    hook = Hook(owner, "apply_async")
    original = hook.original

    @functools.wraps(original)
    def apply_async(*args: Any, **kwargs: Any) -> Any:
        with by_schedule():
            return original(*args, **kwargs)

    hook.put(apply_async)
    return hook


def _sent(headers: Any = None, **_: Any) -> None:
    with _sending:
        carried = carried_by_message()
        if carried and isinstance(headers, dict):
            headers[KEY] = carried


def _begun(task: Any = None, **_: Any) -> None:
    with _running:
        request = task.request
        if request.is_eager:  # runs where it was called, in the action of that
            return
        carried = request.get(KEY) or (SCHEDULED if request.get(_BEAT) else None)
        setattr(request, _VISIT, enter_task(task.name, carried))


def _done(task: Any = None, state: Any = None, retval: Any = None, **_: Any) -> None:
    with _running:
        visit = vars(task.request).pop(_VISIT, None)
        failed = state == "FAILURE" and isinstance(retval, BaseException)
        leave_task(visit, retval if failed else None)


def _worker_ends(**_: Any) -> None:
    """A worker's process ends without running what Python registers for that."""
    with _running:
        if runtime.sink is not None:
            runtime.sink.flush(runtime.shutdown_timeout_s)
