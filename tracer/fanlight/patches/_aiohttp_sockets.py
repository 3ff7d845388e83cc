"""aiohttp's websockets: `ClientSession.ws_connect` gives a `ClientWebSocketResponse`.

All that it sends goes through `send_str` and `send_bytes`, all that it receives through `receive`. The end of
a connection is a message too, and what closes it may be `receive` itself.
"""

from __future__ import annotations

import functools
from collections.abc import MutableMapping
from contextlib import suppress
from contextvars import ContextVar
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from fanlight._guard import guarded
from fanlight.patches._call import Request
from fanlight.patches._hooks import Hook
from fanlight.patches._live_calls import calls_at
from fanlight.patches._socket_calls import SocketCalls, as_bytes

MODULES = ("aiohttp.client_ws",)
_TEXT, _BINARY = 1, 2  # RFC 6455, 5.2; as WSMsgType has them
_ERROR = 0x102  # of WSMsgType: what came is no websocket's any more
_ENDS = frozenset((8, 0x100, 0x101))  # a close frame; WSMsgType.CLOSING and CLOSED

_connections: MutableMapping[Any, SocketCalls | None] = WeakKeyDictionary()
_receiving: ContextVar[bool] = ContextVar("fanlight.receiving", default=False)


def patch_module(module: ModuleType) -> list[Hook]:
    """Watch every client connection."""
    owner = module.ClientWebSocketResponse
    return [
        _watch_send(owner, "send_str"),
        _watch_send(owner, "send_bytes"),
        _watch_receive(owner),
        _watch_close(owner),
    ]


def _watch_send(owner: Any, name: str) -> Hook:
    hook = Hook(owner, name)
    original = hook.original

    @functools.wraps(original)
    async def send(connection: Any, data: Any, *args: Any, **kwargs: Any) -> Any:
        request = _sending(connection, data) if hook.on else None
        if request is None:
            return await original(connection, data, *args, **kwargs)
        try:
            return await original(connection, data, *args, **kwargs)
        except BaseException as error:
            request.failed(error)
            raise

    hook.put(send)
    return hook


def _watch_receive(owner: Any) -> Hook:
    hook = Hook(owner, "receive")
    original = hook.original

    @functools.wraps(original)
    async def receive(connection: Any, *args: Any, **kwargs: Any) -> Any:
        calls = _calls_of(connection) if hook.on else None
        if calls is None:
            return await original(connection, *args, **kwargs)
        calls.receiving()
        token = _receiving.set(True)
        try:  # a wait that is too long or cancelled ends no response
            message = await original(connection, *args, **kwargs)
        finally:
            with suppress(ValueError):  # a coroutine closed by the garbage collector, in another context
                _receiving.reset(token)
        _received(calls, message)
        return message

    hook.put(receive)
    return hook


def _watch_close(owner: Any) -> Hook:
    hook = Hook(owner, "close")
    original = hook.original

    @functools.wraps(original)
    async def close(connection: Any, *args: Any, **kwargs: Any) -> Any:
        if not _receiving.get():
            _closing(connection)
        return await original(connection, *args, **kwargs)

    hook.put(close)
    return hook


@guarded
def _calls_of(connection: Any) -> SocketCalls | None:
    """What a connection is doing; None where it leads to no model."""
    if connection not in _connections:
        url = connection._response.url
        port = None if url.is_default_port() else url.port
        _connections[connection] = calls_at(url.raw_path_qs, url.host or "", port)
    return _connections[connection]


@guarded
def _sending(connection: Any, data: Any) -> Request | None:
    calls = _calls_of(connection)
    if calls is None or not isinstance(data, (str, bytes, bytearray, memoryview)):
        return None
    return calls.sending(as_bytes(data))


@guarded
def _received(calls: SocketCalls, message: Any) -> None:
    if message.type in (_TEXT, _BINARY):
        calls.received(as_bytes(message.data))
    elif message.type == _ERROR and isinstance(message.data, BaseException):
        calls.failed(message.data)
    elif message.type in _ENDS:
        calls.finish("cut")


@guarded
def _closing(connection: Any) -> None:
    calls = _connections.get(connection)
    if calls is not None:
        calls.finish("closed")
