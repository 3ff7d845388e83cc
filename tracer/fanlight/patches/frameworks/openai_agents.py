"""OpenAI Agents SDK: its own spans of agents and functions are the steps, its traces hold them together.

| of the SDK | is |
| --- | --- |
| agent span: an agent has the turn, until it answers or hands off | `invoke_agent NAME` |
| function span: function, shell, computer and MCP tools, agents as tools | `execute_tool NAME` |
| trace: a run, or what the app put into one | one action, where it is in none |
| task, turn, generation, response, handoff, guardrail, custom span | no step |

Spans are watched where they start and finish, not by `add_trace_processor`: processors see nothing where
tracing is disabled (usual with other providers), and `set_trace_processors` throws ours out. Start and finish
are the places where the SDK sets and resets its own current span, so ours is current exactly as long.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextvars import Token
from types import ModuleType
from typing import Any

from opentelemetry.context import Context, attach

from fanlight._current import detach, finish
from fanlight._guard import guarded
from fanlight._runtime import runtime
from fanlight._spans import LiveSpan, suppressed
from fanlight._steps import open_agent, open_tool
from fanlight.patches._hooks import Hook
from fanlight.patches.frameworks._steps import OTHER_ERROR, one_action, step_name

_ENTERED = "_fanlight"
_OPENERS: dict[str, Callable[[str], LiveSpan]] = {"agent": open_agent, "function": open_tool}


class _Entered:
    """What is ours of a span or trace that has started; `span` is None for a trace."""

    __slots__ = ("error_before", "span", "token")

    def __init__(self, span: LiveSpan | None, token: Token[Context]) -> None:
        self.span = span
        self.token = token
        self.error_before = sys.exc_info()[1]  # being handled by whoever runs the agent

    def error(self) -> BaseException | None:
        """What is being raised through this span."""
        error = sys.exc_info()[1]
        return None if error is self.error_before else error


def _patch_spans(module: ModuleType) -> list[Hook]:
    """Watch the SDK's spans, those included that it does not record."""
    owners = _owners(module, "SpanImpl", "NoOpSpan")
    return [*_watch_ends(owners, _enter_span), *(_watch_error(owner) for owner in owners)]


def _patch_traces(module: ModuleType) -> list[Hook]:
    return _watch_ends(_owners(module, "TraceImpl", "NoOpTrace", "ReattachedTrace"), _enter_trace)


PATCHES: dict[str, Callable[[ModuleType], list[Hook]]] = {
    "agents.tracing.spans": _patch_spans,
    "agents.tracing.traces": _patch_traces,
}


def _owners(module: ModuleType, *names: str) -> list[Any]:
    """Those of the classes that this version of the SDK has; none in another package of the same name."""
    return [getattr(module, name) for name in names if hasattr(module, name)]


def _watch_ends(owners: list[Any], enter: Callable[[Any], object]) -> list[Hook]:
    return [hook for owner in owners for hook in (_watch_start(owner, enter), _watch_finish(owner))]


def _watch_start(owner: Any, enter: Callable[[Any], object]) -> Hook:
    hook = Hook(owner, "start")
    original = hook.original

    @functools.wraps(original)
    def start(thing: Any, mark_as_current: bool = False) -> Any:
        result = original(thing, mark_as_current)
        if mark_as_current and hook.on and runtime.on and not suppressed():
            enter(thing)
        return result

    hook.put(start)
    return hook


def _watch_finish(owner: Any) -> Hook:
    hook = Hook(owner, "finish")
    original = hook.original

    @functools.wraps(original)
    def finish(thing: Any, reset_current: bool = False) -> Any:
        _leave(thing)
        return original(thing, reset_current)

    hook.put(finish)
    return hook


def _watch_error(owner: Any) -> Hook:
    hook = Hook(owner, "set_error")
    original = hook.original

    @functools.wraps(original)
    def set_error(thing: Any, error: Any) -> Any:
        _note_error(thing)
        return original(thing, error)

    hook.put(set_error)
    return hook


@guarded
def _enter_span(span: Any) -> None:
    open_span = _OPENERS.get(span.span_data.type)
    if open_span is not None and _ENTERED not in vars(span):
        opened = open_span(step_name(span.span_data.name))
        vars(span)[_ENTERED] = _Entered(opened, attach(opened.context))


@guarded
def _enter_trace(trace: Any) -> None:
    if _ENTERED not in vars(trace):
        vars(trace)[_ENTERED] = _Entered(None, attach(one_action()))


@guarded
def _leave(thing: Any) -> None:
    entered: _Entered | None = vars(thing).pop(_ENTERED, None)
    if entered is None:
        return
    detach(entered.token)
    if entered.span is not None:
        finish(entered.span, entered.error())


@guarded
def _note_error(span: Any) -> None:
    """An error that the SDK hands to the model, or to the app's error handler, instead of raising it."""
    entered: _Entered | None = vars(span).get(_ENTERED)
    if entered is None or entered.span is None:
        return
    error = entered.error()
    if error is None:
        entered.span.error(OTHER_ERROR)
    else:
        entered.span.fail(error)
