"""Web frameworks: every app of Starlette, FastAPI, Flask and Django is served inside entries.

The outermost point of each framework's own: what wraps the app from outside (another tracer's middleware,
a proxy's) is not part of the action, and what the app's own middleware does is.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from opentelemetry.context import get_current

from fanlight import asgi, wsgi
from fanlight._cascade import entry_in
from fanlight._entries import Entry
from fanlight._guard import guard
from fanlight.patches._hooks import Hook

MODULES = (
    "starlette.applications",
    "flask.app",
    "django.core.handlers.asgi",
    "django.core.handlers.wsgi",
    "django.core.handlers.base",
)

_reading = guard("patches.web.route")


def patch_module(module: ModuleType) -> list[Hook]:
    """Watch every app of a framework."""
    if module.__name__ == "starlette.applications":  # FastAPI's class is a Starlette
        return [_watch_asgi(module.Starlette)]
    if module.__name__ == "flask.app":
        return [_watch_wsgi(module.Flask)]
    if module.__name__ == "django.core.handlers.asgi":
        return [_watch_asgi(module.ASGIHandler)]
    if module.__name__ == "django.core.handlers.wsgi":
        return [_watch_wsgi(module.WSGIHandler)]
    return [_watch_resolving(module.BaseHandler)]


def _watch_asgi(owner: Any) -> Hook:
    hook = Hook(owner, "__call__")
    original = hook.original

    @functools.wraps(original)
    async def call(app: Any, scope: Any, receive: Any, send: Any) -> None:
        if hook.on:
            await asgi.serve(functools.partial(original, app), scope, receive, send)
        else:
            await original(app, scope, receive, send)

    hook.put(call)
    return hook


def _watch_wsgi(owner: Any) -> Hook:
    hook = Hook(owner, "__call__")
    original = hook.original

    @functools.wraps(original)
    def call(app: Any, environ: Any, start_response: Any) -> Any:
        if hook.on:
            return wsgi.serve(functools.partial(original, app), environ, start_response)
        return original(app, environ, start_response)

    hook.put(call)
    return hook


def _watch_resolving(owner: Any) -> Hook:
    """Django says which route it chose to nobody but its own request."""
    hook = Hook(owner, "resolve_request")
    original = hook.original

    @functools.wraps(original)
    def resolve_request(*args: Any, **kwargs: Any) -> Any:
        match = original(*args, **kwargs)
        if hook.on:
            with _reading:
                entry = entry_in(get_current())
                if isinstance(entry, Entry):
                    entry.tell_route("/" + match.route)
        return match

    hook.put(resolve_request)
    return hook
