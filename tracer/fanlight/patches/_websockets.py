"""The websockets package: openai's `responses.connect()` and `realtime.connect()`, and bare connections."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import AsyncIterator, Iterator, MutableMapping
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from fanlight._guard import guarded
from fanlight._propagation import additions
from fanlight._runtime import runtime
from fanlight.patches._call import Request
from fanlight.patches._hooks import Hook
from fanlight.patches._live_calls import calls_at
from fanlight.patches._socket_calls import SocketCalls, as_bytes

MODULES = ("websockets.client", "websockets.sync.client", "websockets.asyncio.client")
_DEFAULT_PORTS = {True: 443, False: 80}

_connections: MutableMapping[Any, SocketCalls | None] = WeakKeyDictionary()


def patch_module(module: ModuleType) -> list[Hook]:
    """Watch every client connection, and the handshake that all of them share."""
    if module.__name__ == "websockets.client":
        return [_watch_handshake(module.ClientProtocol)]
    owner = module.ClientConnection
    if module.__name__ == "websockets.sync.client":
        return [_watch_send(owner), _watch_recv(owner), _watch_pieces(owner), _watch_close(owner)]
    return [
        _watch_send_async(owner),
        _watch_recv_async(owner),
        _watch_pieces_async(owner),
        _watch_close_async(owner),
    ]


def _watch_handshake(owner: Any) -> Hook:
    hook = Hook(owner, "send_request")
    original = hook.original

    @functools.wraps(original)
    def send_request(protocol: Any, request: Any) -> Any:
        with_context = _with_context(protocol, request) if hook.on and runtime.own_hosts else None
        return original(protocol, with_context or request)

    hook.put(send_request)
    return hook


def _watch_send(owner: Any) -> Hook:
    hook = Hook(owner, "send")
    original = hook.original

    @functools.wraps(original)
    def send(connection: Any, message: Any, *args: Any, **kwargs: Any) -> Any:
        request = _sending(connection, message) if hook.on else None
        if request is None:
            return original(connection, message, *args, **kwargs)
        try:
            return original(connection, message, *args, **kwargs)
        except BaseException as error:
            request.failed(error)
            raise

    hook.put(send)
    return hook


def _watch_send_async(owner: Any) -> Hook:
    hook = Hook(owner, "send")
    original = hook.original

    @functools.wraps(original)
    async def send(connection: Any, message: Any, *args: Any, **kwargs: Any) -> Any:
        request = _sending(connection, message) if hook.on else None
        if request is None:
            return await original(connection, message, *args, **kwargs)
        try:
            return await original(connection, message, *args, **kwargs)
        except BaseException as error:
            request.failed(error)
            raise

    hook.put(send)
    return hook


def _watch_recv(owner: Any) -> Hook:
    hook = Hook(owner, "recv")
    original = hook.original

    @functools.wraps(original)
    def recv(connection: Any, *args: Any, **kwargs: Any) -> Any:
        calls = _calls_of(connection) if hook.on else None
        if calls is None:
            return original(connection, *args, **kwargs)
        calls.receiving()
        try:
            message = original(connection, *args, **kwargs)
        except BaseException as error:
            _lost(calls, error)
            raise
        _received(calls, message)
        return message

    hook.put(recv)
    return hook


def _watch_recv_async(owner: Any) -> Hook:
    hook = Hook(owner, "recv")
    original = hook.original

    @functools.wraps(original)
    async def recv(connection: Any, *args: Any, **kwargs: Any) -> Any:
        calls = _calls_of(connection) if hook.on else None
        if calls is None:
            return await original(connection, *args, **kwargs)
        calls.receiving()
        try:
            message = await original(connection, *args, **kwargs)
        except BaseException as error:
            _lost(calls, error)
            raise
        _received(calls, message)
        return message

    hook.put(recv)
    return hook


def _watch_pieces(owner: Any) -> Hook:
    """`recv_streaming` gives one message in the pieces in which it was sent."""
    hook = Hook(owner, "recv_streaming")
    original = hook.original

    @functools.wraps(original)
    def recv_streaming(connection: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        calls = _calls_of(connection) if hook.on else None
        pieces: list[bytes] = []
        if calls is not None:
            calls.receiving()
        stream = original(connection, *args, **kwargs)
        try:
            for piece in stream:
                if calls is not None:
                    pieces.append(as_bytes(piece))
                yield piece
        except BaseException as error:
            _lost(calls, error)
            raise
        finally:
            stream.close()
        _received(calls, b"".join(pieces))

    hook.put(recv_streaming)
    return hook


def _watch_pieces_async(owner: Any) -> Hook:
    hook = Hook(owner, "recv_streaming")
    original = hook.original

    @functools.wraps(original)
    async def recv_streaming(connection: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        calls = _calls_of(connection) if hook.on else None
        pieces: list[bytes] = []
        if calls is not None:
            calls.receiving()
        stream = original(connection, *args, **kwargs)
        try:
            async for piece in stream:
                if calls is not None:
                    pieces.append(as_bytes(piece))
                yield piece
        except BaseException as error:
            _lost(calls, error)
            raise
        finally:
            await stream.aclose()
        _received(calls, b"".join(pieces))

    hook.put(recv_streaming)
    return hook


def _watch_close(owner: Any) -> Hook:
    hook = Hook(owner, "close")
    original = hook.original

    @functools.wraps(original)
    def close(connection: Any, *args: Any, **kwargs: Any) -> Any:
        _closing(connection)
        return original(connection, *args, **kwargs)

    hook.put(close)
    return hook


def _watch_close_async(owner: Any) -> Hook:
    hook = Hook(owner, "close")
    original = hook.original

    @functools.wraps(original)
    async def close(connection: Any, *args: Any, **kwargs: Any) -> Any:
        _closing(connection)
        return await original(connection, *args, **kwargs)

    hook.put(close)
    return hook


@guarded
def _calls_of(connection: Any) -> SocketCalls | None:
    """What a connection is doing; None where it leads to no model."""
    try:
        return _connections[connection]
    except KeyError:
        pass
    request = connection.request
    if request is None:  # its handshake is not over
        return None
    calls = _connections[connection] = calls_at(request.path, *_server(connection.protocol))
    return calls


def _server(protocol: Any) -> tuple[str, int | None]:
    uri = protocol.uri
    return uri.host, None if uri.port == _DEFAULT_PORTS[uri.secure] else uri.port


@guarded
def _with_context(protocol: Any, request: Any) -> Any:
    """A copy of a handshake to one of the user's own services; None where there is nothing to add."""
    headers = request.headers.copy()
    theirs = {name.lower(): ", ".join(headers.get_all(name)) for name in headers}
    added = additions(theirs, *_server(protocol))
    for name, value in added:
        if name in headers:  # setting it would add another one
            del headers[name]
        headers[name] = value
    return dataclasses.replace(request, headers=headers) if added else None


@guarded
def _sending(connection: Any, message: Any) -> Request | None:
    calls = _calls_of(connection)
    if calls is None or not isinstance(message, (str, bytes, bytearray, memoryview)):
        return None
    return calls.sending(as_bytes(message))


@guarded
def _received(calls: SocketCalls | None, message: Any) -> None:
    if calls is not None:
        calls.received(as_bytes(message))


@guarded
def _closing(connection: Any) -> None:
    calls = _connections.get(connection)
    if calls is not None:
        calls.finish("closed")


def _lost(calls: SocketCalls | None, error: BaseException) -> None:
    """A connection that is closed ends its responses; a wait that was too long or cancelled does not."""
    if calls is not None and type(error).__name__.startswith("ConnectionClosed"):
        calls.failed(error)
