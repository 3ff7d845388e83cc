"""Tasks of queues and jobs of schedulers as entries: what every hook on one of those shares.

    headers = carried_by_message()                    # where the task is enqueued; None outside any action
    visit = enter_task("app.answer", headers, "system")   # where it runs
    ...the task...
    leave_task(visit, error)

A task that was enqueued inside an action goes on with it, and so does each further try. Its tries are no
steps: a step is an agent or a tool, and a queue is neither. Their calls lie below what enqueued them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass

from opentelemetry.context import Context, attach, get_current
from opentelemetry.util.types import AttributeValue

from fanlight._carrier import carrier
from fanlight._cascade import cascade_in
from fanlight._current import detach
from fanlight._entries import MAX_NAME_CHARS, Entry, Given, begin
from fanlight._guard import guard, guarded
from fanlight._runtime import runtime
from fanlight_schema.attributes import Origin

KEY = "fanlight"  # of the message's headers, options or meta
SCHEDULED = {"scheduled": "true"}  # instead of `carrier()`: nobody's action sent it, and a schedule did

_by_schedule: ContextVar[bool] = ContextVar("fanlight.by_schedule", default=False)

_entering = guard("tasks.enter")
_leaving = guard("tasks.leave")


class TaskCaller:
    """A task as its queue names it; a queue tells nothing of users but what the message carries."""

    __slots__ = ("_name", "route")

    def __init__(self, name: str) -> None:
        self._name = name[:MAX_NAME_CHARS]
        self.route: str | None = None

    def name(self) -> str:
        return self._name

    def attributes(self) -> Mapping[str, AttributeValue]:
        return {}

    def header(self, name: str) -> None:
        return None

    def given(self) -> Given | None:
        return None


@dataclass(frozen=True, slots=True)
class Visit:
    """A task that is running."""

    entry: Entry
    token: Token[Context]


@guarded
def carried_by_message() -> dict[str, str] | None:
    """What a message that is enqueued here takes along: `carrier()` inside an action, else None."""
    if not runtime.on:
        return None
    if _by_schedule.get():
        return SCHEDULED
    return None if cascade_in(get_current()) is None else carrier()


@contextmanager
def by_schedule() -> Iterator[None]:
    """What is enqueued in this block is so by a schedule, each time an action of its own."""
    token = _by_schedule.set(True)
    try:
        yield
    finally:
        _by_schedule.reset(token)


def enter_task(name: str, headers: object, origin: Origin = "system") -> Visit | None:
    """Begin a task: in the action that its message carries, else as an action of its own.

    Not in that of the running code: a worker's thread belongs to whoever started it.
    """
    if not runtime.on:
        return None
    with _entering:
        if headers == SCHEDULED:
            origin = "schedule"
        carried = headers if isinstance(headers, Mapping) and "baggage" in headers else None
        entry = begin(TaskCaller(name), Context(), headers=carried, origin=origin, default_name="task")
        return Visit(entry, attach(entry.context))
    return None


def leave_task(visit: Visit | None, error: BaseException | None) -> None:
    """The task has returned or raised."""
    if visit is not None:
        detach(visit.token)
        with _leaving:
            visit.entry.finish(error)


@dataclass(slots=True)
class Outcome:
    """How a task ended, where its exception does not come through."""

    error: BaseException | None = None


@contextmanager
def task(name: str, headers: object, origin: Origin) -> Iterator[Outcome]:
    """`enter_task` and `leave_task` around a block; its exceptions pass."""
    visit = enter_task(name, headers, origin)
    outcome = Outcome()
    try:
        yield outcome
    except BaseException as error:
        outcome.error = error
        raise
    finally:
        leave_task(visit, outcome.error)
