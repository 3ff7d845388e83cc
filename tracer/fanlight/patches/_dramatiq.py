"""Dramatiq: a message's options carry the action of whoever sent it, and its actor runs in that.

Brokers tell their middleware of each message; this listens at the same place, whatever the broker.
"""

from __future__ import annotations

import functools
import threading
from types import ModuleType
from typing import Any

from fanlight._guard import guard
from fanlight._tasks import KEY, Visit, carried_by_message, enter_task, leave_task
from fanlight.patches._hooks import Hook

MODULES = ("dramatiq.broker",)

_sending = guard("patches.dramatiq.send")
_running = guard("patches.dramatiq.run")


class _Running(threading.local):
    """The message that a worker's thread is at."""

    visit: Visit | None = None


_here = _Running()


def patch_module(module: ModuleType) -> list[Hook]:
    """Watch every message that any broker sends or works on."""
    return [_watch_before(module.Broker), _watch_after(module.Broker)]


def _watch_before(owner: Any) -> Hook:
    hook = Hook(owner, "emit_before")
    original = hook.original

    @functools.wraps(original)
    def emit_before(broker: Any, signal: str, *args: Any, **kwargs: Any) -> None:
        if signal == "enqueue" and hook.on:
            with _sending:
                _send(args[0])
        original(broker, signal, *args, **kwargs)
        if signal == "process_message" and hook.on:  # not before: a middleware may refuse the message
            with _running:
                _here.visit = enter_task(args[0].actor_name, args[0].options.get(KEY))

    hook.put(emit_before)
    return hook


def _send(message: Any) -> None:
    """Outside any action, what the message carries already stays: it is a further try, or was put off."""
    carried = carried_by_message()
    if carried:
        message.options[KEY] = carried


def _watch_after(owner: Any) -> Hook:
    hook = Hook(owner, "emit_after")
    original = hook.original

    @functools.wraps(original)
    def emit_after(broker: Any, signal: str, *args: Any, **kwargs: Any) -> None:
        original(broker, signal, *args, **kwargs)  # sends the message again where it is to be tried again
        if signal in ("process_message", "skip_message"):
            with _running:
                visit, _here.visit = _here.visit, None
                leave_task(visit, kwargs.get("exception") if args[0].failed else None)

    hook.put(emit_after)
    return hook
