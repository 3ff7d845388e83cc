"""Watch one client and no other."""

from __future__ import annotations

import functools
import sys
import weakref
from types import ModuleType
from typing import Any, Protocol

from fanlight._guard import guarded
from fanlight.patches import _cohere, _google, _httpx, _ollama, _sessions, _speakeasy, _stainless
from fanlight.patches._hooks import Hook

# What makes a client of a client: copies that share its HTTP client; google-genai's client of an event loop.
_MAKERS = ("copy", "with_options", "_client_for_running_loop")

_HOOKS = "_fanlight_hooks"  # on the client itself: hooks hold their client, and must not outlive it

_wrapped: weakref.WeakSet[Any] = weakref.WeakSet()


class Family(Protocol):
    """What the module of an SDK's family says of its clients."""

    CLIENTS: frozenset[tuple[str, str]]  # module and name of their classes

    def watch_client(self, client: Any, /) -> list[Hook]: ...

    def http_clients(self, client: Any, /) -> list[Any]: ...


_FAMILIES: tuple[Family, ...] = (_stainless, _google, _speakeasy, _cohere, _ollama, _sessions)


def wrap_one(client: Any) -> None:
    """Watch `client`; does nothing if it is watched already. TypeError if its type is not known."""
    if client in _wrapped:
        return
    http_module = _http_module_of(client)
    family = None if http_module is not None else _family_of(client)
    if http_module is not None:
        hooks = _httpx.watch_client(http_module, client)
    elif family is not None:
        hooks = family.watch_client(client)
    else:
        raise TypeError(
            f"fanlight.wrap() does not know {type(client).__module__}.{type(client).__qualname__}; give it a "
            "client of openai, anthropic, google.genai, mistralai, groq, cohere, ollama, httpx or httpx2, "
            f"{_sessions.NAMES}, or call fanlight.instrument()"
        )
    makers = [_wrap_made(client, name) for name in _MAKERS if hasattr(client, name)]
    _keep(client, [*hooks, *makers])
    for http_client in () if family is None else family.http_clients(client):
        wrap_one(http_client)


def forget_wrapped() -> list[Hook]:
    """The hooks of every client that was wrapped, to be removed."""
    hooks = _sessions.forget_shared()
    for client in list(_wrapped):
        hooks += vars(client).pop(_HOOKS, ())
    _wrapped.clear()
    return hooks


def _keep(client: Any, hooks: list[Hook]) -> None:
    vars(client)[_HOOKS] = hooks
    _wrapped.add(client)


def _wrap_made(client: Any, name: str) -> Hook:
    hook = Hook(client, name)
    original = hook.original

    @functools.wraps(original)
    def make(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        if hook.on:
            _wrap_made_one(made)
        return made

    hook.put(make)
    return hook


_wrap_made_one = guarded(wrap_one)


def _http_module_of(client: object) -> ModuleType | None:
    for name in _httpx.MODULES:
        module = sys.modules.get(name)
        if module is not None and isinstance(client, (module.Client, module.AsyncClient)):
            return module
    return None


def _family_of(client: object) -> Family | None:
    names = {(kind.__module__, kind.__qualname__) for kind in type(client).__mro__}
    return next((family for family in _FAMILIES if not names.isdisjoint(family.CLIENTS)), None)
