"""Watch one client and no other."""

from __future__ import annotations

import functools
import sys
import weakref
from types import ModuleType
from typing import Any

from fanlight.patches import _httpx, _stainless
from fanlight.patches._hooks import Hook

_HOOKS = "_fanlight_hooks"  # on the client itself: hooks hold their client, and must not outlive it

_wrapped: weakref.WeakSet[Any] = weakref.WeakSet()


def wrap_one(client: Any) -> None:
    """Watch `client`; does nothing if it is watched already. TypeError if its type is not known."""
    if client in _wrapped:
        return
    http_module = _http_module_of(client)
    if http_module is not None:
        _keep(client, _httpx.watch_client(http_module, client))
        return
    if not _stainless.is_client(client):
        raise TypeError(
            f"fanlight.wrap() does not know {type(client).__module__}.{type(client).__qualname__}; "
            "give it a client of openai, httpx or httpx2, or call fanlight.instrument()"
        )
    copies = [_wrap_copies(client, name) for name in _stainless.COPIES]
    _keep(client, [*_stainless.watch_client(client), *copies])
    for http_client in _stainless.http_clients(client):
        wrap_one(http_client)


def unwrap_all() -> None:
    """Restore every client that was wrapped."""
    for client in list(_wrapped):
        for hook in vars(client).pop(_HOOKS, ()):
            hook.remove()
    _wrapped.clear()


def _keep(client: Any, hooks: list[Hook]) -> None:
    vars(client)[_HOOKS] = hooks
    _wrapped.add(client)


def _wrap_copies(client: Any, name: str) -> Hook:
    hook = Hook(client, name)
    original = hook.original

    @functools.wraps(original)
    def copy(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        if hook.on:
            wrap_one(made)
        return made

    hook.put(copy)
    return hook


def _http_module_of(client: object) -> ModuleType | None:
    for name in _httpx.MODULES:
        module = sys.modules.get(name)
        if module is not None and isinstance(client, (module.Client, module.AsyncClient)):
            return module
    return None
