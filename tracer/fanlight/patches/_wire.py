"""The seams of httpx and httpx2 at which every request passes, whoever sends it.

`Client._send_single_request` sees each request of a client over any transport, after auth and redirects
have made several of one. `HTTPTransport.handle_request` sees what is really sent, by a transport that
retries inside itself too. `_sends` counts each of them once.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from fanlight.patches import _sends
from fanlight.patches._hooks import Hook

MODULES = ("httpx", "httpx2")  # one API, two distributions


def patch_module(module: ModuleType) -> list[Hook]:
    """Watch every client and every transport of an httpx-like module."""
    return [
        _watch(module, module.Client, "_send_single_request", transport=False),
        _watch(module, module.HTTPTransport, "handle_request", transport=True),
        _watch_async(module, module.AsyncClient, "_send_single_request", transport=False),
        _watch_async(module, module.AsyncHTTPTransport, "handle_async_request", transport=True),
    ]


def watch_client(module: ModuleType, client: Any) -> list[Hook]:
    """Watch one client and the transports that it has."""
    transports = {id(t): t for t in (client._transport, *client._mounts.values()) if t is not None}.values()
    if isinstance(client, module.Client):
        below = [t for t in transports if isinstance(t, module.HTTPTransport)]
        return [
            _watch(module, client, "_send_single_request", transport=False),
            *(_watch(module, t, "handle_request", transport=True) for t in below),
        ]
    below = [t for t in transports if isinstance(t, module.AsyncHTTPTransport)]
    return [
        _watch_async(module, client, "_send_single_request", transport=False),
        *(_watch_async(module, t, "handle_async_request", transport=True) for t in below),
    ]


def _watch(module: ModuleType, owner: Any, name: str, *, transport: bool) -> Hook:
    hook = Hook(owner, name)
    original = hook.original

    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        entry = _sends.enter(module, _message(args, kwargs), transport=transport) if hook.on else None
        if entry is None:
            return original(*args, **kwargs)
        try:
            response = original(*args, **kwargs)
            _sends.answered(entry, response, sync=True)
        except BaseException as error:
            _sends.failed(entry, error)
            raise
        finally:
            _sends.leave(entry)
        return response

    hook.put(watched)
    return hook


def _watch_async(module: ModuleType, owner: Any, name: str, *, transport: bool) -> Hook:
    hook = Hook(owner, name)
    original = hook.original

    @functools.wraps(original)
    async def watched(*args: Any, **kwargs: Any) -> Any:
        entry = _sends.enter(module, _message(args, kwargs), transport=transport) if hook.on else None
        if entry is None:
            return await original(*args, **kwargs)
        try:
            response = await original(*args, **kwargs)
            _sends.answered(entry, response, sync=False)
        except BaseException as error:
            _sends.failed(entry, error)
            raise
        finally:
            _sends.leave(entry)
        return response

    hook.put(watched)
    return hook


def _message(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The request object: the only argument of the four methods, behind `self` where a class is patched."""
    return args[-1] if "request" not in kwargs else kwargs["request"]
