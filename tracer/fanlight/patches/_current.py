"""Which call and which HTTP send the running code belongs to."""

from __future__ import annotations

from contextvars import ContextVar, Token

from opentelemetry.context import Context

from fanlight._context import attach
from fanlight._current import detach
from fanlight.patches._call import Call

current_call: ContextVar[Call | None] = ContextVar("fanlight.call", default=None)

Entered = tuple[Token[Call | None], Token[Context]]


def enter_call(call: Call) -> Entered:
    """Make a call and its span current."""
    return current_call.set(call), attach(call.span.context)


def leave_call(entered: Entered) -> None:
    """Undo `enter_call`. A coroutine closed by the garbage collector is in a context that never saw it."""
    try:
        current_call.reset(entered[0])
    except ValueError:
        return
    detach(entered[1])


def running_call() -> Call | None:
    """The call whose operation is running, or None; a task that outlived it has inherited a finished one."""
    call = current_call.get()
    return call if call is not None and call.running else None
