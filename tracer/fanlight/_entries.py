"""Automatic entries: where an action begins by itself (a web request, a task of a queue, a scheduled job).

    entry = begin(caller, context, headers=carried)
    token = attach(entry.context)
    ...the app's own code...
    detach(token)
    entry.finish(error)

Nothing is written until the first step or call inside starts: health checks and logins cost an object. An
action that the app declares inside takes the entry's place. One that came in with `headers` goes on, and
its root is written here only if whoever sent it had written none.
"""

from __future__ import annotations

import inspect
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import set_span_in_context
from opentelemetry.util.types import AttributeValue

from fanlight._baggage import clean_text
from fanlight._carrier import Headers, context_of
from fanlight._cascade import (
    Action,
    Cascade,
    entry_in,
    here,
    own_cascade,
    remember,
    with_cascade,
    without_cascade,
)
from fanlight._current import finish, is_ordinary_end
from fanlight._guard import guard
from fanlight._runtime import runtime
from fanlight._spans import LiveSpan, error_type_of, start_span
from fanlight_schema.attributes import Origin

Given: TypeAlias = Mapping[str, Any]  # an ASGI scope or a WSGI environ
Person: TypeAlias = str | Callable[[Given], object]  # the name of a header, or who knows it

MAX_NAME_CHARS = 200  # ours; routes and tasks are named by hand

OPENING_WAIT_S = 1.0  # ours; the app's sampler and processors take microseconds, unless they are stuck

_lock = threading.RLock()  # of ids and of who opens a root; nothing of the app's runs while it is held


def _fresh_lock() -> None:
    global _lock
    _lock = threading.RLock()  # the thread that held it is the parent's


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fresh_lock)
_asking_user = guard("entries.user")
_asking_session = guard("entries.session")


class Caller(Protocol):
    """What an entry can tell of whoever asked. Asked when an action is written, never before."""

    route: str | None

    def name(self) -> str | None:
        """What is asked for, with no ids in it: a route's template, a task's name; None if not known yet."""

    def attributes(self) -> Mapping[str, AttributeValue]:
        """What else the root says."""
        ...

    def header(self, name: str) -> str | None:
        """A header of the request, its name in lower case."""

    def given(self) -> Given | None:
        """What `user` and `session` callables get; None where there is nothing to ask them about."""


class Opening:
    """A root on its way: the thread that opens it, and an event for those that want to be below it."""

    __slots__ = ("done", "thread_id")

    def __init__(self) -> None:
        self.thread_id = threading.get_ident()
        self.done = threading.Event()


class Entry:
    """One request, task or job of this process, and the action that it may become."""

    __slots__ = (
        "_action",
        "_base",
        "_caller",
        "_default_name",
        "_end_time_ns",
        "_failure",
        "_hop",
        "_is_over",
        "_opening",
        "_outer_span_id",
        "_own",
        "_root",
        "_start_time_ns",
        "continues",
        "session",
        "user",
    )

    def __init__(
        self, caller: Caller, base: Context, place: Cascade | None, origin: Origin, default_name: str
    ):
        self._caller = caller
        self._base = base
        self._default_name = default_name
        self._start_time_ns = time.time_ns()
        self._end_time_ns: int | None = None
        self._is_over = False
        self._failure: str | None = None
        self._root: LiveSpan | None = None
        self._opening: Opening | None = None
        self._own = True  # the root is the entry's span, not one that took its place
        self._outer_span_id = trace.get_current_span(base).get_span_context().span_id
        self.continues = place is not None
        self.user: Person | None = None  # who says it here, instead of what `instrument` was told
        self.session: Person | None = None
        self._action = Action("", origin=origin, source="automatic") if place is None else place.action
        self._hop = 0 if place is None else place.hop

    @property
    def place(self) -> Cascade:
        """Made when it is asked for: kept, it would hold the entry that holds it, until a collection."""
        return Cascade(self._action, self._hop, entry=self)

    @property
    def context(self) -> Context:
        """The context of the app's code: it belongs to the entry, and its current span is as it was."""
        return with_cascade(self.place, self._base)

    @property
    def caller(self) -> Caller:
        return self._caller

    @property
    def may_give_way(self) -> bool:
        """Whether the next action that the app declares is this one; only the first is."""
        return not self.continues and self._action.source == "automatic"

    @property
    def responded(self) -> bool:
        """Whether the last byte was produced; what still runs in the background belongs to it."""
        return self._end_time_ns is not None

    def respond(self, failure: str | None = None) -> None:
        """The answer is complete, and the action ends here; `failure` is a short code if it is an error."""
        if self._end_time_ns is None:
            self._end_time_ns = time.time_ns()
            self._failure = failure

    def finish(self, error: BaseException | None = None, failure: str | None = None) -> None:
        """The app's code has returned, or raised."""
        self.respond(failure)
        if error is not None and not is_ordinary_end(error):
            self._failure = error_type_of(error)  # not the error itself: it holds the frames that hold this
        self._is_over = True
        if self._root is not None:
            self._finish_root(error)

    def tell_route(self, route: str) -> None:
        """For a framework that leaves its route nowhere that the caller can look."""
        self._caller.route = route

    def above(self, context: Context) -> Context:
        """The context for the first step or call in `context`: below the entry's root, which exists from now.

        Where a span of the app's own stands between, that one stays the parent.
        """
        self._open(context)
        return self._below_root(context)

    def announce(self, context: Context) -> Context:
        """The action is about to be named to others: it has an id, and says what is known of it."""
        self._await_root()
        with _lock:
            if not self._action.id:
                self._action.id = secrets.token_hex(16)
                remember(self._action)
        self._settle()
        return self._below_root(context)

    def give_way(self, wanted: Action, open_span: Callable[[Cascade, Context], LiveSpan]) -> LiveSpan:
        """An action that the app declares takes this one's place: its id, and its root if there is none."""
        if wanted.user is None or wanted.session is None:
            self._settle()
        opens = self._claim_root()
        try:
            with _lock:
                action, place = self._action, Cascade(wanted, self._hop)
                wanted.id = action.id
                wanted.user = wanted.user or action.user
                wanted.session = wanted.session or action.session
                self._action = wanted
            # Without the entry, which will hold the span: neither would go before a collection.
            context = with_cascade(place, self._below_root(here()))
            if not wanted.id and trace.get_current_span(context).get_span_context().is_valid:
                wanted.id = secrets.token_hex(16)
            span = open_span(place, context)
            if opens:
                self._use_root(span, context)
                self._own = False
            elif self._root is not None:
                self._root.cascade = place
        finally:
            if opens:
                self._release_root()
        return span

    def _open(self, context: Context) -> None:
        """Write the root, unless it is there, or was written where the action came from."""
        if self._root is not None or (self.continues and self._outer_span_id):
            return
        name = self._name()
        if runtime.on and self._claim_root():
            try:
                self._start_root(name, context)
            finally:
                self._release_root()
        self._settle()
        if self._is_over:
            self._finish_root()

    def _claim_root(self) -> bool:
        """Whether it is for this thread to open the root; if another one does, it has by now."""
        with _lock:
            if self._root is None and self._opening is None:
                self._opening = Opening()
                return True
        self._await_root()
        return False

    def _release_root(self) -> None:
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.done.set()

    def _await_root(self) -> None:
        """Wait for another thread that opens the root; not for long, nor twice: the app may hold it up."""
        opening = self._opening
        if opening is not None and opening.thread_id != threading.get_ident():
            opening.done.wait(OPENING_WAIT_S)
            opening.done.set()

    def _start_root(self, name: str, context: Context) -> None:
        parent = self._base
        if not self._outer_span_id:
            parent = set_span_in_context(trace.get_current_span(context), parent)
        action = self._action
        if not action.id and trace.get_current_span(parent).get_span_context().is_valid:
            action.id = secrets.token_hex(16)
        root = start_span(
            name,
            "action",
            attributes=self._caller.attributes(),
            start_time_ns=self._start_time_ns,
            parent=parent,
            cascade=Cascade(action, self._hop),
        )
        remember(action)
        self._use_root(root, parent)

    def _use_root(self, root: LiveSpan, parent: Context) -> None:
        self._outer_span_id = trace.get_current_span(parent).get_span_context().span_id
        self._root = root

    def _below_root(self, context: Context) -> Context:
        root = self._root
        current = trace.get_current_span(context).get_span_context()
        if root is None or current.span_id != self._outer_span_id:
            return context
        return set_span_in_context(root, context)

    def _finish_root(self, error: BaseException | None = None) -> None:
        root = self._root
        if root is None or not self._own or root.ended:
            return
        self._settle()
        root.name = self._name()
        root.set_all(self._caller.attributes())
        if self._failure is not None:
            root.error(self._failure)
        finish(root, error, self._end_time_ns)

    def _name(self) -> str:
        return self._caller.name() or self._default_name

    def _settle(self) -> None:
        """Say of the action what is known by now."""
        action = self._action
        if self.may_give_way:
            action.name = self._name()
        if action.user is None:
            with _asking_user:
                action.user = self._ask(self.user or runtime.user)
        if action.session is None:
            with _asking_session:
                action.session = self._ask(self.session or runtime.session)

    def _ask(self, person: Person | None) -> str | None:
        given = None if person is None else self._caller.given()
        if given is None or person is None:
            return None
        said = self._caller.header(person.lower()) if isinstance(person, str) else person(given)
        if inspect.iscoroutine(said):
            said.close()
            raise TypeError(f"{person!r} is a coroutine function; give a plain one")
        return None if said is None else clean_text(str(said))


def begin(
    caller: Caller,
    context: Context,
    *,
    headers: Headers | None = None,
    origin: Origin = "user",
    default_name: str = "request",
) -> Entry:
    """An entry in `context`: of the action that `headers` (from `carrier()`) name, else of a new one."""
    base = context if headers is None else context_of(headers, context)
    above = own_cascade(base)
    if above is not None and above.entry is not None:  # one that is over, and would be held by this one
        base, above = without_cascade(base), None
    return Entry(caller, base, above, origin, default_name)


def inside(context: Context) -> bool:
    """Whether code in this context is part of an action or entry already, so that none begins here.

    An event loop starts the next request of a connection in the context of the last one: that one has
    responded, and is nobody's place any more.
    """
    entry = entry_in(context)
    return not entry.responded if isinstance(entry, Entry) else own_cascade(context) is not None


def say_who(entry: object, user: Person | None, session: Person | None) -> None:
    """Who to ask about this entry, instead of what `instrument` was told."""
    if isinstance(entry, Entry):
        entry.user, entry.session = user or entry.user, session or entry.session
