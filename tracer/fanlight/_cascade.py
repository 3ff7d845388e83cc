"""Which action the running code belongs to, and who asked for it.

An `Action` is one mutable record per action and process: user and session may become known at any depth, and
every span that ends later shows them. A `Cascade` is a place in it: the action and the number of steps above.
It travels in OpenTelemetry's context under a key of its own, not as OpenTelemetry baggage: the app's HTTP
instrumentation would send that, user id included, to every host. `_baggage` reads and writes the headers.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from opentelemetry import baggage, trace
from opentelemetry.context import Context, create_key, set_value
from opentelemetry.util.types import AttributeValue

from fanlight._context import get_current
from fanlight_schema import attributes as names
from fanlight_schema.attributes import ActionSource, Origin, Workload

_KEY = create_key("fanlight.cascade")

KNOWN_ACTIONS = 10_000  # kept though no span of theirs is open; the oldest are forgotten first


class Action:
    """An action as this process knows it; shared by all of its spans here."""

    __slots__ = (
        "__weakref__",
        "dropped",
        "encoded",
        "id",
        "name",
        "origin",
        "parent_id",
        "remote",
        "session",
        "source",
        "user",
        "workload",
    )

    def __init__(
        self,
        id: str,  # noqa: A002  (the word of the schema)
        name: str | None = None,
        *,
        origin: Origin = "user",
        source: ActionSource = "declared",
        workload: Workload = "serving",
        user: str | None = None,
        session: str | None = None,
        parent_id: str | None = None,
        remote: bool = False,
    ) -> None:
        self.id = id
        self.name = name
        self.origin: Origin = origin
        self.source = source
        self.workload = workload
        self.user = user
        self.session = session
        self.parent_id = parent_id
        self.remote = remote
        self.dropped = 0  # spans of it that this process had no place for
        self.encoded: tuple[tuple[object, ...], bytes] | None = None  # the encoder's: of what, and how

    def attributes(self) -> dict[str, AttributeValue]:
        """What its spans say of it, as it is now: name, user and session may become known late."""
        said: dict[str, AttributeValue | None] = {
            names.ACTION_ID: self.id,
            names.ACTION_ORIGIN: self.origin,
            names.ACTION_SOURCE: self.source,
            names.WORKLOAD: self.workload,
            names.ACTION_NAME: self.name,
            names.USER_ID: self.user,
            names.SESSION_ID: self.session,
            names.DROPPED_SPANS: self.dropped or None,
        }
        return {name: value for name, value in said.items() if value is not None}


class Beginning(Protocol):
    """Where an action may begin by itself, and is written when its first step or call starts: `Entry`."""

    continues: bool  # the action began elsewhere

    @property
    def caller(self) -> object:
        """Who asked."""

    @property
    def place(self) -> Cascade: ...

    def above(self, context: Context) -> Context: ...

    def announce(self, context: Context) -> Context: ...


@dataclass(frozen=True, slots=True)
class Cascade:
    """A place in an action: the action, how many steps (agents, tools) lie above, and the nearest of them.

    `entry` is set directly in an automatic entry (a web request, a task), where no step or call lies above.
    """

    action: Action
    hop: int = 0
    step: str | None = None  # the name of that step's span; None where it is in another process
    entry: Beginning | None = field(default=None, compare=False)

    @property
    def action_id(self) -> str:
        return self.action.id

    def attributes(self) -> dict[str, AttributeValue]:
        """What every span here says of its place."""
        return {**self.action.attributes(), names.HOP: self.hop}

    def below_step(self, step: str) -> Cascade:
        return Cascade(self.action, self.hop + 1, step)


def cascade_in(context: Context) -> Cascade | None:
    """The cascade that a context belongs to: fanlight's own, else one that came in as baggage, else None."""
    found = context.get(_KEY)
    if isinstance(found, Cascade):
        return found if found.entry is None else found.entry.place
    if baggage.get_baggage(names.ACTION_ID, context) is None:
        return None
    from fanlight._baggage import cascade_from_members

    cascade = cascade_from_members(baggage.get_all(context))
    if cascade is not None:
        _keep(cascade.action)  # nothing else does until its first span
    return cascade


def own_cascade(context: Context) -> Cascade | None:
    """The cascade that fanlight itself put there; what came as baggage to another instrumentation is none."""
    found = context.get(_KEY)
    return found if isinstance(found, Cascade) else None


def entry_in(context: Context) -> Beginning | None:
    """The automatic entry that a context stands directly in, or None."""
    found = own_cascade(context)
    return None if found is None or found.entry is None else found.entry.place.entry


def current_cascade() -> Cascade | None:
    """The cascade of the running code, or None outside any action and step."""
    return cascade_in(here())


def with_cascade(cascade: Cascade, context: Context | None = None) -> Context:
    return set_value(_KEY, cascade, context)


def without_cascade(context: Context) -> Context:
    return set_value(_KEY, None, context)


# What this process was started for, by one that was inside an action; None if by nobody who said so.
_inherited: Context | None = None


def inherit(context: Context | None) -> None:
    """Make this the place of all code of this process that has none of its own; None undoes it."""
    global _inherited
    _inherited = context


def here() -> Context:
    """Where the running code stands: the current context, completed by what the process was started for.

    A process-wide default, not an attached context: threads that no hook of ours sees have it too, and the
    app's own root spans stay roots.
    """
    context = get_current()
    if _inherited is None or entry_in(context) is not None:  # a request is for nobody's child
        return context
    if not trace.get_current_span(context).get_span_context().is_valid:
        context = trace.set_span_in_context(trace.get_current_span(_inherited), context)
    inherited = cascade_in(_inherited)
    if inherited is not None and cascade_in(context) is None:
        context = with_cascade(inherited, context)
    return context


# Actions alive in this process, so that a carrier() taken and resumed in one process shares one record.
_live: weakref.WeakValueDictionary[str, Action] = weakref.WeakValueDictionary()
# Received as baggage, or a trace outside any action whose user was set: nothing else holds these.
_known: OrderedDict[str, Action] = OrderedDict()


def remember(action: Action) -> Action:
    """Register an action so that `resume` in this process finds the same record."""
    _live[action.id] = action
    return action


def live_action(action_id: str) -> Action | None:
    return _live.get(action_id)


def inferred_action(trace_id: str) -> Action:
    """The action of a call or step outside any: its trace, without a name."""
    known = _known.get(trace_id)
    return known if known is not None else Action(trace_id, source="inferred")


def _remember_trace(trace_id: str) -> Action:
    return _keep(Action(trace_id, source="inferred"))


def _keep(action: Action) -> Action:
    """The record of this id that is known already, else this one, known from now on."""
    known = _known.setdefault(action.id, action)
    if len(_known) > KNOWN_ACTIONS:
        with suppress(KeyError):
            _known.popitem(last=False)
    return known


def action_here() -> Action | None:
    """The action that `set_user` speaks of: the current one, else the one inferred from the current trace."""
    cascade = current_cascade()
    if cascade is not None:
        return cascade.action
    span_context = trace.get_current_span(here()).get_span_context()
    if not span_context.is_valid:
        return None
    return _remember_trace(trace.format_trace_id(span_context.trace_id))


def forget() -> None:
    """Know no trace, as at the start: for tests."""
    _known.clear()
