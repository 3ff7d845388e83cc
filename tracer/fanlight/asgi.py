"""An action for each request and each websocket message of any ASGI app.

    from fanlight.asgi import Middleware
    app = Middleware(app, user="x-user-id", session=lambda scope: scope["session"].get("id"))

`fanlight.instrument()` does the same for Starlette, FastAPI and Django by itself; both together are still
one action.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from opentelemetry.context import Context, attach, get_current

from fanlight._cascade import Cascade, entry_in, with_cascade
from fanlight._current import detach
from fanlight._entries import Entry, Person, begin, inside, say_who
from fanlight._guard import guard
from fanlight._runtime import runtime
from fanlight._web import AsgiCaller, carried_headers

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = ["Middleware"]

# ASGI's HTTP messages that hold a body, and its extensions'; a path that is sent is all of it.
BODIES = ("http.response.body", "http.response.zerocopysend", "http.response.pathsend")

_beginning = guard("asgi.begin")
_ending = guard("asgi.end")


class Middleware:
    """An ASGI app around `app`. `user` and `session` are as in `fanlight.instrument`, and come before those.

    A request is written as an action once it makes a model call or begins a step; one without is not. The
    action ends with the last byte of the body; background work after it still belongs to it.
    """

    def __init__(self, app: App, *, user: Person | None = None, session: Person | None = None) -> None:
        self._app = app
        self._user = user
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await serve(self._app, scope, receive, send, self._user, self._session)


async def serve(
    app: App,
    scope: Scope,
    receive: Receive,
    send: Send,
    user: Person | None = None,
    session: Person | None = None,
) -> None:
    """Run `app` for one connection, inside an entry of its own if there is none yet."""
    entry = _begin(scope, user, session) if runtime.on else None
    if entry is None:
        await app(scope, receive, send)
    elif scope["type"] == "websocket" and not entry.continues:
        await _serve_messages(entry, app, scope, receive, send)
    else:
        await _serve_request(entry, app, scope, receive, send)


def _begin(scope: Scope, user: Person | None, session: Person | None) -> Entry | None:
    with _beginning:
        if scope["type"] not in ("http", "websocket"):
            return None
        context = get_current()
        if inside(context):
            say_who(entry_in(context), user, session)
            return None
        caller = AsgiCaller(scope)
        entry = begin(caller, context, headers=carried_headers(caller))
        say_who(entry, user, session)
        return entry
    return None


async def _serve_request(entry: Entry, app: App, scope: Scope, receive: Receive, send: Send) -> None:
    status = 0

    async def watched_send(message: Message) -> None:
        nonlocal status
        kind = message.get("type")
        if kind == "http.response.start":
            status = message.get("status", 0)
        elif kind in BODIES and not message.get("more_body"):
            entry.respond(_failure_of(status))
        await send(message)

    token = attach(entry.context)
    try:
        await app(scope, receive, watched_send)
    except BaseException as error:
        _finish(entry, error)
        raise
    else:
        _finish(entry, None)
    finally:
        detach(token)


def _failure_of(status: int) -> str | None:
    """As OpenTelemetry has it for servers: what the client did wrong is no error here."""
    return str(status) if status >= 500 else None


def _finish(entry: Entry, error: BaseException | None) -> None:
    with _ending:
        entry.finish(error, failure="cut")  # counts only if no last byte was sent


class _Connection:
    """A websocket: code in its context belongs to the message that the app took last."""

    continues = False

    def __init__(self, first: Entry, scope: Scope) -> None:
        self._scope = scope
        self._connected = False
        self.entry = first

    @property
    def place(self) -> Cascade:
        return self.entry.place

    @property
    def caller(self) -> object:
        return self.entry.caller

    def above(self, context: Context) -> Context:
        return self.entry.above(context)

    def announce(self, context: Context) -> Context:
        return self.entry.announce(context)

    def asks(self) -> None:
        """The app asks for a message: it is done with the one before."""
        if self._connected:
            self.entry.finish()

    def gets(self, message: Message) -> None:
        """A message begins an entry; its client is the one that it was at the last."""
        self._connected = True
        if message.get("type") != "websocket.receive":
            return
        before, self.entry = self.entry, begin(AsgiCaller(self._scope), get_current())
        self.entry.user, self.entry.session = before.user, before.session
        action, last = self.entry.place.action, before.place.action
        action.user, action.session = last.user, last.session
        attach(self.entry.context)  # where the app awaits `receive` itself, its tasks keep their message


async def _serve_messages(entry: Entry, app: App, scope: Scope, receive: Receive, send: Send) -> None:
    connection = _Connection(entry, scope)

    async def watched_receive() -> Message:
        with _ending:
            connection.asks()
        message = await receive()
        with _beginning:
            connection.gets(message)
        return message

    token = attach(with_cascade(Cascade(entry.place.action, entry=connection), entry.context))
    try:
        await app(scope, watched_receive, send)
    except BaseException as error:
        with _ending:
            connection.entry.finish(error)
        raise
    else:
        with _ending:
            connection.entry.finish()
    finally:
        detach(token)
