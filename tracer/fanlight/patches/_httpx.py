"""The seams of httpx and httpx2 at which every request passes, whoever sends it.

`Client._send_single_request` sees each request of a client over any transport, after auth and redirects
have made several of one. `HTTPTransport.handle_request` sees what is really sent, by a transport that
retries inside itself too. `_sends` counts each of them once.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from fanlight._guard import guarded
from fanlight._propagation import Lent, lend
from fanlight._runtime import runtime
from fanlight.patches import _sends
from fanlight.patches._call import Inflate, Request
from fanlight.patches._hooks import Hook
from fanlight.patches._httpx_streams import stream_classes
from fanlight.patches._readings import Reading

MODULES = ("httpx", "httpx2")  # one API, two distributions

# Set by hishel, the cache for httpx, on answers that no server was asked for (hishel.com, "Extensions").
_CACHE_MARKS = frozenset(("from_cache", "hishel_from_cache"))


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


class _Message(_sends.Message):
    """A request of httpx as `_sends` wants it."""

    __slots__ = ("_module", "_parts", "_path", "_sender")

    def __init__(self, module: ModuleType, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The request is the only argument of the four methods, behind `self` where a class is patched."""
        self._module = module
        self._sender = args[0] if isinstance(owner, type) else owner
        self.source = source = args[-1] if "request" not in kwargs else kwargs["request"]
        self.method = source.method
        # What its properties are made of, where it still has that.
        self._parts = getattr(source.url, "_uri_reference", None)
        self._path: str | None = None

    def path(self) -> str:
        """`url.path` would unquote it, at five times the cost."""
        path = self._path
        if path is None:
            if self._parts is not None:
                path = self._parts.path or "/"
            else:
                raw: bytes = self.source.url.raw_path
                path = raw.partition(b"?")[0].decode("ascii", "replace")
            self._path = path
        return path

    def server(self) -> tuple[str, int | None]:
        parts = self._parts
        if parts is not None and "xn--" not in parts.host:  # which `url.host` decodes
            return parts.host, parts.port
        return self.source.url.host, self.source.url.port

    def has_header(self, name: str) -> bool:
        return name in self.source.headers

    def body(self) -> bytes | None:
        content = getattr(self.source, "_content", None)
        if content is None and isinstance(self.source.stream, self._module.ByteStream):
            content = b"".join(self.source.stream)  # a redirect: the first request's, which can be read again
        return content if isinstance(content, bytes) else None

    def sent(self, *, json: bool) -> _sends.Sent:
        parts, path = self._parts, self._path
        if parts is None or path is None or "xn--" in parts.host:
            return super().sent(json=json)
        body = getattr(self.source, "_content", None) if json else None
        if json and type(body) is not bytes:
            body = self.body()
        return parts.host, parts.port, path, body

    def sent_unseen(self) -> bool:
        """By any transport but the module's own: one made of that may send by itself."""
        client = self._sender
        transport = client._transport_for_url(self.source.url) if client._mounts else client._transport
        return type(transport) not in (self._module.HTTPTransport, self._module.AsyncHTTPTransport)


class _Reply:
    """A response of httpx as `_sends` wants it."""

    __slots__ = ("_module", "_response", "_sync")

    def __init__(self, module: ModuleType, response: Any, *, sync: bool) -> None:
        self._module = module
        self._response = response
        self._sync = sync

    def is_redirect(self) -> bool:
        response = self._response
        return response.status_code in _sends.REDIRECTS and "location" in response.headers

    def from_cache(self) -> bool:
        return not _CACHE_MARKS.isdisjoint(self._response.extensions)

    def watch(self, request: Request | Reading) -> None:
        response = self._response
        content_type, encoding = _body_headers(response)
        inflate = _inflate(self._module, encoding) if encoding else None
        request.headers_came(response.status_code, content_type, inflate, response.headers.get)
        content = getattr(response, "_content", None)
        if isinstance(content, bytes):
            request.whole(content)
            return
        classes = stream_classes(self._module)
        response.stream = (classes.sync if self._sync else classes.asynchronous)(response.stream, request)


def _watch(module: ModuleType, owner: Any, name: str, *, transport: bool) -> Hook:
    hook = Hook(owner, name)
    original = hook.original

    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        if not hook.on:
            return original(*args, **kwargs)
        message = _Message(module, owner, args, kwargs)
        entry = _sends.enter(message, transport=transport)
        lent = _lend(message) if runtime.own_hosts else None
        if entry is None and lent is None:
            return original(*args, **kwargs)
        try:
            response = original(*args, **kwargs)
            if entry is not None:
                _sends.answered(entry, _Reply(module, response, sync=True))
        except BaseException as error:
            if entry is not None:
                _sends.failed(entry, error)
            raise
        finally:
            if entry is not None:
                _sends.leave(entry)
            if lent is not None:
                _take_back(lent)
        return response

    hook.put(watched)
    return hook


def _watch_async(module: ModuleType, owner: Any, name: str, *, transport: bool) -> Hook:
    hook = Hook(owner, name)
    original = hook.original

    @functools.wraps(original)
    async def watched(*args: Any, **kwargs: Any) -> Any:
        if not hook.on:
            return await original(*args, **kwargs)
        message = _Message(module, owner, args, kwargs)
        entry = _sends.enter(message, transport=transport)
        lent = _lend(message) if runtime.own_hosts else None
        if entry is None and lent is None:
            return await original(*args, **kwargs)
        try:
            response = await original(*args, **kwargs)
            if entry is not None:
                _sends.answered(entry, _Reply(module, response, sync=False))
        except BaseException as error:
            if entry is not None:
                _sends.failed(entry, error)
            raise
        finally:
            if entry is not None:
                _sends.leave(entry)
            if lent is not None:
                _take_back(lent)
        return response

    hook.put(watched)
    return hook


@guarded
def _lend(message: _Message) -> Lent | None:
    host, port = message.server()
    return lend(message.source, host, port)


@guarded
def _take_back(lent: Lent) -> None:
    lent.take_back()


def _body_headers(response: Any) -> tuple[str, str]:
    content_type = encoding = b""
    headers = response.headers
    found = getattr(headers, "_list", None)  # what `raw` makes a list of
    for key, *_, value in headers.raw if found is None else found:
        if len(key) == 12 and key.lower() == b"content-type":
            content_type = value
        elif len(key) == 16 and key.lower() == b"content-encoding":
            encoding = value
    return content_type.decode("latin-1").lower(), encoding.decode("latin-1").strip().lower()


def _inflate(module: ModuleType, encoding: str) -> Inflate | None:
    """The module's own decoders, the last applied first; it leaves out those that it does not know."""
    if encoding == "identity":
        return None
    known = module._decoders.SUPPORTED_DECODERS
    applied = [name.strip() for name in encoding.split(",")]
    decoders = [known[name]() for name in reversed(applied) if name in known]

    def inflate(data: bytes) -> bytes:
        for decoder in decoders:
            inflated = decoder.decode(data)
            data = inflated if isinstance(inflated, bytes) else b"".join(inflated)  # httpx2: in pieces
        return data

    return inflate
