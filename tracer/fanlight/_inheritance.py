"""The action that this process was started in: taken over when the tracer starts, handed on to its children.

A program finds it in its environment (`TRACEPARENT`, `BAGGAGE`), a worker of multiprocessing in what it is
started with. It is the place of all code here that has none of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.context import Context

from fanlight._carrier import context_of
from fanlight._cascade import inherit
from fanlight._guard import guarded

_environment: dict[str, str] = {}
_handed_over = False  # a worker knows better than the environment that it shares with its siblings


@guarded
def continue_action(environment: Mapping[str, str]) -> None:
    """Go on with the action that these variables name, if they name one."""
    _environment.update(environment)
    if environment and not _handed_over:
        inherit(context_of(environment, Context()))


@guarded
def take_over(headers: Mapping[str, str]) -> None:
    """Go on with the action that the starter of this worker handed over."""
    global _handed_over
    if headers:
        _handed_over = True
        inherit(context_of(headers, Context()))


def came_from_outside(name: str, value: str | None) -> bool:
    """Whether a variable of a child's environment is as this process found it: its own, to be continued."""
    return value is not None and _environment.get(name) == value


def forget_inheritance() -> None:
    """Belong to no action, as before the tracer's start."""
    global _handed_over
    _handed_over = False
    _environment.clear()
    inherit(None)
