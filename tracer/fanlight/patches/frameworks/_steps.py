"""What all agent frameworks share: a method whose every call is a step, and what is said of its end.

    watch(module.Agent, "run", agent_step(lambda agent, *_, **__: agent.name))

Steps carry a name and, where they failed, the class of the exception: no prompt, no answer, no tokens.
"""

from __future__ import annotations

import functools
import inspect
import secrets
from collections.abc import Callable
from typing import Any

from opentelemetry.context import Context, get_current
from opentelemetry.trace import get_current_span

from fanlight._cascade import Action, Cascade, cascade_in, here, remember, with_cascade
from fanlight._functions import wrap_function
from fanlight._guard import guard, guarded
from fanlight._runtime import runtime
from fanlight._spans import LiveSpan, inert_span, suppressed
from fanlight._steps import open_agent, open_tool
from fanlight.patches._hooks import Hook, Method

OTHER_ERROR = "_OTHER"  # OpenTelemetry's error.type where nothing more specific is known
MAX_NAME_CHARS = 256  # ours; what models and users make up is bounded

# Of the arguments of a call: the name of the step that it is, or None where it is none.
NameOf = Callable[..., object]
Note = Callable[[LiveSpan, Any], None]

_opening = guard("frameworks.open")


def watch(owner: Any, name: str, open_span: Callable[..., LiveSpan], note: Note | None = None) -> Hook:
    """Have each call of a function, coroutine or generator of a class or module be a step.

    `note` sees the result of those that give one: frameworks turn the errors of tools into results.
    """
    hook = Hook(owner, name)
    original = hook.original if note is None else _noting(hook.original, note)
    hook.put(wrap_function(original, opener(hook, open_span)))
    return hook


def opener(hook: Hook, open_span: Callable[..., LiveSpan]) -> Callable[..., LiveSpan]:
    """`open_span`, which opens nothing while the hook or the tracer is off and never raises."""

    def opened(*args: Any, **kwargs: Any) -> LiveSpan:
        if hook.on and runtime.on and not suppressed():
            with _opening:
                return open_span(*args, **kwargs)
        return inert_span()

    return opened


def agent_step(name_of: NameOf) -> Callable[..., LiveSpan]:
    """Opens the span of an agent that `name_of` names."""
    return _step(open_agent, name_of)


def tool_step(name_of: NameOf) -> Callable[..., LiveSpan]:
    """Opens the span of a tool that `name_of` names."""
    return _step(open_tool, name_of)


def _step(open_span: Callable[[str], LiveSpan], name_of: NameOf) -> Callable[..., LiveSpan]:
    def opened(*args: Any, **kwargs: Any) -> LiveSpan:
        name = name_of(*args, **kwargs)
        return inert_span() if name is None else open_span(step_name(name))

    return opened


def step_name(name: object) -> str:
    return str(name)[:MAX_NAME_CHARS]


def _noting(function: Method, note: Note) -> Method:
    """`function`, whose result is shown to `note` along with the span of its step."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            result = await function(*args, **kwargs)
            _note(note, result)
            return result

        return run_async

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        _note(note, result)
        return result

    return run


def watch_handled_errors(owner: Any, name: str, place: int = 0) -> Hook:
    """Have the current step fail by the exception that a function of the framework gets to handle."""
    hook = Hook(owner, name)
    original = hook.original

    @functools.wraps(original)
    def run(*args: Any, **kwargs: Any) -> Any:
        if hook.on and len(args) > place:
            _note(LiveSpan.fail, args[place])
        return original(*args, **kwargs)

    hook.put(run)
    return hook


@guarded
def _note(note: Note, result: object) -> None:
    span = get_current_span()
    if isinstance(span, LiveSpan):
        note(span, result)


def one_action(context: Context | None = None) -> Context:
    """The context in which all steps and calls that follow are one action, also those without a parent.

    For a run whose agents take turns beside each other. Inside an action or a trace it is that one.
    """
    context = get_current() if context is None else context
    place = here()
    if cascade_in(place) is not None or get_current_span(place).get_span_context().is_valid:
        return context
    action = remember(Action(secrets.token_hex(16), source="inferred"))  # known before its first span
    return with_cascade(Cascade(action), context)
