"""An action for each request of any WSGI app.

    from fanlight.wsgi import Middleware
    app = Middleware(app, user="x-user-id")

`fanlight.instrument()` does the same for Flask and Django by itself; both together are still one action.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from opentelemetry.context import attach, get_current

from fanlight._cascade import entry_in
from fanlight._current import detach
from fanlight._entries import Entry, Person, begin, inside, say_who
from fanlight._guard import guard
from fanlight._runtime import runtime
from fanlight._web import WsgiCaller, carried_headers

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Any]
App: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]

__all__ = ["Middleware"]

_beginning = guard("wsgi.begin")
_ending = guard("wsgi.end")


class Middleware:
    """A WSGI app around `app`. `user` and `session` are as in `fanlight.instrument`, and come before those.

    A request is written as an action once it makes a model call or begins a step; one without is not. The
    action ends when the server has taken the last part of the body.
    """

    def __init__(self, app: App, *, user: Person | None = None, session: Person | None = None) -> None:
        self._app = app
        self._user = user
        self._session = session

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return serve(self._app, environ, start_response, self._user, self._session)


def serve(
    app: App,
    environ: Environ,
    start_response: StartResponse,
    user: Person | None = None,
    session: Person | None = None,
) -> Iterable[bytes]:
    """What `app` answers, given inside an entry of its own if there is none yet."""
    begun = _begin(environ, user, session) if runtime.on else None
    if begun is None:
        return app(environ, start_response)
    entry, caller = begun
    status = ""

    def watched_start(line: str, *args: Any, **kwargs: Any) -> Any:
        nonlocal status
        status = line
        with _ending:
            caller.read_route()
        return start_response(line, *args, **kwargs)

    token = attach(entry.context)
    try:
        body = app(environ, watched_start)
    except BaseException as error:
        with _ending:
            entry.finish(error)
        raise
    finally:
        detach(token)

    def failure() -> str | None:  # PEP 3333: an app may start its answer with the first part of the body
        return status[:3] if status >= "500" else None

    if not _is_whole(body, environ):
        return _Body(body, entry, failure)
    with _ending:
        entry.finish(failure=failure())
    return body


def _begin(environ: Environ, user: Person | None, session: Person | None) -> tuple[Entry, WsgiCaller] | None:
    with _beginning:
        context = get_current()
        if inside(context):
            say_who(entry_in(context), user, session)
            return None
        caller = WsgiCaller(environ)
        entry = begin(caller, context, headers=carried_headers(caller))
        say_who(entry, user, session)
        return entry, caller
    return None


def _is_whole(body: object, environ: Environ) -> bool:
    """Whether the body is there already, or the server's own file wrapper, which it wants to see as it is."""
    if isinstance(body, (list, tuple)) or getattr(body, "streaming", True) is False:  # the latter is Django's
        return True
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)


class _Body:
    """The parts of a body, each made inside the entry; the server's code between them is not."""

    def __init__(self, body: Iterable[bytes], entry: Entry, failure: Callable[[], str | None]) -> None:
        self._body = body
        self._parts: Iterator[bytes] | None = None
        self._entry = entry
        self._failure = failure
        self._context = entry.context

    def __iter__(self) -> _Body:
        return self

    def __next__(self) -> bytes:
        token = attach(self._context)
        try:
            if self._parts is None:
                self._parts = iter(self._body)
            return next(self._parts)
        except StopIteration:
            self._entry.respond(self._failure())
            raise
        except BaseException as error:
            with _ending:
                self._entry.finish(error)
            raise
        finally:
            self._context = get_current()
            detach(token)

    def close(self) -> None:
        """The server is done: with the body, or with a client that went away."""
        token = attach(self._context)
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            detach(token)
            with _ending:
                self._entry.finish(failure="cut")  # counts only if the last part was never asked for
