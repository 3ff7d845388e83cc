"""Actions, agents and tools: each a context manager and a decorator.

with fanlight.action("answer_question", user="u-42"):
    with fanlight.agent("planner"):
        ...

@fanlight.tool
async def search(query: str) -> list[str]: ...
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextvars import Token
from types import TracebackType
from typing import Final, Protocol, TypeVar, get_args, overload

from opentelemetry import trace
from opentelemetry.context import Context, attach
from opentelemetry.util.types import AttributeValue

from fanlight._cascade import Action, Cascade, current_cascade, here, remember
from fanlight._current import detach, finish
from fanlight._entries import Entry
from fanlight._functions import wrap_function
from fanlight._guard import guard, warn_once
from fanlight._runtime import runtime
from fanlight._spans import LiveSpan, inert_span, start_span
from fanlight_schema import attributes as names
from fanlight_schema.attributes import Origin, Workload

_beginning = guard("steps.begin")

F = TypeVar("F", bound=Callable[..., object])
T = TypeVar("T")

ORIGINS: Final[tuple[Origin, ...]] = get_args(Origin)
WORKLOADS: Final[tuple[Workload, ...]] = get_args(Workload)


class Opener(Protocol):
    """Starts the span of a step; `name` is what the step is called."""

    def __call__(self, name: str) -> LiveSpan: ...


class Step:
    """An action, agent or tool not begun yet; `with` begins it, and so does each call of what it decorates.

    Entering gives the span, on which attributes can be set. May be entered several times, also nested, and by
    several tasks and threads at once.
    """

    def __init__(self, name: str | None, open_span: Opener, default_name: str) -> None:
        self._name = name
        self._open_span = open_span
        self._default_name = default_name
        self._entered: list[tuple[LiveSpan, Token[Context]]] = []

    def __enter__(self) -> LiveSpan:
        span = self._begin(self._name or self._default_name)
        self._entered.append((span, attach(span.context)))
        return span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if not self._entered:
            return
        current = trace.get_current_span()
        entered = next((entry for entry in reversed(self._entered) if entry[0] is current), self._entered[-1])
        self._entered.remove(entered)
        span, token = entered
        detach(token)
        finish(span, error)

    async def __aenter__(self) -> LiveSpan:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, where)

    def __call__(self, function: F) -> F:
        name = self._name or str(getattr(function, "__name__", self._default_name))
        return wrap_function(function, lambda *_, **__: self._begin(name))

    def _begin(self, name: str) -> LiveSpan:
        with _beginning:
            return self._open_span(name)
        return inert_span()


@overload
def action(name: F) -> F: ...
@overload
def action(
    name: str | None = None,
    *,
    user: str | None = None,
    session: str | None = None,
    origin: Origin = "user",
    workload: Workload = "serving",
    new: bool = False,
) -> Step: ...
def action(
    name: str | F | None = None,
    *,
    user: str | None = None,
    session: str | None = None,
    origin: Origin = "user",
    workload: Workload = "serving",
    new: bool = False,
) -> Step | F:
    """One thing that somebody asked for: the root of a cascade.

    Inside another declared action it is a step of that one, unless `new`: then it is an action of its own
    that knows its parent. In a service that received an action it is a step, too. `origin` says who asked
    (user, schedule, agent, system), `workload` what it is for (serving, rl_rollout, eval, batch, training).
    """

    def open_span(name: str) -> LiveSpan:
        wanted = Action(
            "",
            name,
            origin=_known("origin", origin, ORIGINS),
            workload=_known("workload", workload, WORKLOADS),
            user=as_text(user),
            session=as_text(session),
        )
        return _open_action(name, wanted, new)

    return _step(name, open_span, "action")


@overload
def agent(name: F) -> F: ...
@overload
def agent(name: str | None = None, *, attributes: Mapping[str, AttributeValue] | None = None) -> Step: ...
def agent(name: str | F | None = None, *, attributes: Mapping[str, AttributeValue] | None = None) -> Step | F:
    """An agent's work: a step of the running action, written as `invoke_agent`."""
    return _step(name, lambda name: open_agent(name, attributes), "agent")


@overload
def tool(name: F) -> F: ...
@overload
def tool(name: str | None = None, *, attributes: Mapping[str, AttributeValue] | None = None) -> Step: ...
def tool(name: str | F | None = None, *, attributes: Mapping[str, AttributeValue] | None = None) -> Step | F:
    """A tool's execution: a step of the running action, written as `execute_tool`."""

    return _step(name, lambda name: open_tool(name, attributes), "tool")


def _known(what: str, value: T, choices: tuple[T, ...]) -> T:
    """The value if it is one of the choices, else the first of them, which is the default."""
    if value in choices:
        return value
    listed = ", ".join(map(str, choices))
    warn_once("%s=%r of an action is none of %s; it is taken as %s", what, value, listed, choices[0])
    return choices[0]


def _step(name: str | F | None, open_span: Opener, default_name: str) -> Step | F:
    if callable(name):
        return Step(None, open_span, default_name)(name)
    return Step(name, open_span, default_name)


def open_agent(name: str, attributes: Mapping[str, AttributeValue] | None = None) -> LiveSpan:
    """Start the span of an agent's work."""
    own = {names.OPERATION_NAME: names.OPERATION_INVOKE_AGENT, names.AGENT_NAME: name}
    return start_span(f"invoke_agent {name}", "agent", attributes={**(attributes or {}), **own})


def open_tool(name: str, attributes: Mapping[str, AttributeValue] | None = None) -> LiveSpan:
    """Start the span of a tool's execution."""
    own = {names.OPERATION_NAME: names.OPERATION_EXECUTE_TOOL, names.TOOL_NAME: name}
    return start_span(f"execute_tool {name}", "tool", attributes={**(attributes or {}), **own})


def _open_action(name: str, wanted: Action, new: bool) -> LiveSpan:
    above = current_cascade() if runtime.on else None
    if above is not None and _continues(above) and not new:
        if above.entry is None and above.action.source == "automatic" and not above.action.remote:
            _declare(above.action, wanted)
        above.action.user = above.action.user or wanted.user
        above.action.session = above.action.session or wanted.session
        return open_agent(name)
    return _open_root(name, wanted, above, new)


def _continues(above: Cascade) -> bool:
    """Whether an action inside this one is a step of it."""
    if above.entry is not None:
        return above.entry.continues
    return above.action.remote or above.action.source != "inferred"


def _declare(action: Action, wanted: Action) -> None:
    """Below a step of an automatic action: that one is now what the app says; the step stays above."""
    action.source, action.name = "declared", wanted.name
    action.origin, action.workload = wanted.origin, wanted.workload


def _open_root(name: str, wanted: Action, above: Cascade | None, new: bool) -> LiveSpan:
    attributes: dict[str, AttributeValue] = {}

    def open_span(place: Cascade, parent: Context | None = None) -> LiveSpan:
        span = start_span(name, "action", attributes=attributes, parent=parent, cascade=place)
        remember(wanted)
        return span

    entry = None if above is None else above.entry
    if isinstance(entry, Entry) and entry.may_give_way:
        return entry.give_way(wanted, open_span)
    if trace.get_current_span(here()).get_span_context().is_valid:
        wanted.id = secrets.token_hex(16)
    if above is not None and (entry is None or entry.continues):
        wanted.parent_id = attributes[names.PARENT_ACTION_ID] = above.action.id
    return open_span(Cascade(wanted))


def as_text(value: object) -> str | None:
    """A user or session id as it is written: text of at most 256 characters; None stays None."""
    return None if value is None else str(value)[:256]
