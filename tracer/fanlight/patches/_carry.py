"""Carrying the current action to code that runs elsewhere: what every hook on threads and processes shares.

A task is wrapped only where there is something to carry. The pool that takes it does so in an empty context:
the workers that it may start for it serve other actions later, and must not keep this one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context, attach, get_current

from fanlight._carrier import context_of, headers_of
from fanlight._cascade import cascade_in
from fanlight._current import detach
from fanlight._guard import guard, guarded

EMPTY = Context()
_reading = guard("patches.carry")


@guarded
def carried() -> Context | None:
    """The current context if it is a place in an action, or was resumed from elsewhere; else None."""
    context = get_current()
    if not context:
        return None
    if cascade_in(context) is not None or trace.get_current_span(context).get_span_context().is_remote:
        return context
    return None


class ThreadTask:
    """A function that runs in another thread of this process, in the context of who submitted it."""

    __slots__ = ("_context", "_function")

    def __init__(self, function: Callable[..., Any], context: Context) -> None:
        self._function = function
        self._context = context

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        token = attach(self._context)
        try:
            return self._function(*args, **kwargs)
        finally:
            detach(token)


class ProcessTask:
    """A function that runs in a worker process, as part of the action that its headers name.

    Pickled as its function and the headers; what cannot be pickled raises as it would by itself.
    """

    __slots__ = ("_function", "_headers")

    def __init__(self, function: Callable[..., Any], headers: Mapping[str, str]) -> None:
        self._function = function
        self._headers = headers

    @classmethod
    def of(cls, function: Callable[..., Any], context: Context) -> ProcessTask:
        return cls(function, headers_of(context))

    def __reduce__(self) -> tuple[type[ProcessTask], tuple[Callable[..., Any], Mapping[str, str]]]:
        return ProcessTask, (self._function, self._headers)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        context = get_current()
        with _reading:
            context = context_of(self._headers, context)
        token = attach(context)
        try:
            return self._function(*args, **kwargs)
        finally:
            detach(token)


def call_in(context: Context, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """What `function` gives, called with this context current."""
    token = attach(context)
    try:
        return function(*args, **kwargs)
    finally:
        detach(token)
