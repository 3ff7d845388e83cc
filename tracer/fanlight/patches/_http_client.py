"""The standard library's http.client: urllib.request, bare connections, and the ground below urllib3.

A request starts in `HTTPConnection.endheaders`, which sends it, and is answered in `getresponse`. What a
library above has begun is not begun again: it gives `expect_answer` the connection that will answer it.
Trace context for the user's own services goes into the buffer of `endheaders`, for all of them: no object of
the app's has it, and no redirect copies it.
"""

from __future__ import annotations

import functools
from collections.abc import MutableMapping
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from fanlight._guard import guarded
from fanlight._propagation import additions
from fanlight._runtime import runtime
from fanlight.capture.endpoints import endpoint_of
from fanlight.capture.framing import framing_of
from fanlight.patches import _sends
from fanlight.patches._call import Request
from fanlight.patches._hooks import Hook
from fanlight.patches._inflate import inflate_for
from fanlight.patches._readings import Reading
from fanlight.patches._watched_file import WatchedFile

MODULES = ("http.client",)


def patch_module(module: ModuleType, make_hook: type[Hook] = Hook) -> list[Hook]:
    """Watch every connection."""
    connection = module.HTTPConnection
    return [_watch_sending(connection, make_hook), _watch_answers(connection, make_hook)]


class _Expected:
    """A pass whose request was sent, and whose answer is still to be fetched."""

    __slots__ = ("passing", "sent_here")

    def __init__(self, passing: _sends.Passing, *, sent_here: bool) -> None:
        self.passing = passing
        self.sent_here = sent_here  # by the connection itself; else a library above sees how it fails

    def __del__(self) -> None:
        if self.sent_here and self.passing.running:  # nobody ever fetched the answer
            _give_up(self.passing, ConnectionAbortedError("the answer was never fetched"))


_expected: MutableMapping[Any, _Expected] = WeakKeyDictionary()


def expect_answer(connection: Any, passing: _sends.Passing) -> None:
    """The next answer on `connection` is for `passing`."""
    _expected[connection] = _Expected(passing, sent_here=False)


def expect_nothing(connection: Any) -> bool:
    """Undo `expect_answer`; False if the answer has come already."""
    return _expected.pop(connection, None) is not None


class _Message(_sends.Message):
    """A request of http.client as `_sends` wants it. It does not hold the connection, which holds it."""

    __slots__ = ("_body", "_headers", "_server", "_target")

    def __init__(self, connection: Any, method: str, target: str, body: object) -> None:
        super().__init__(method)
        self._target = target
        self._body = body
        self._headers: list[bytes] = connection._buffer[1:]
        self._server = _server_of(connection, target)

    def path(self) -> str:
        return path_of(self._target)

    def server(self) -> tuple[str, int | None]:
        return self._server

    def has_header(self, name: str) -> bool:
        start = name.encode() + b":"
        return any(line.lower().startswith(start) for line in self._headers)

    def body(self) -> bytes | None:
        return body_bytes(self._body)


def _server_of(connection: Any, target: str) -> tuple[str, int | None]:
    """A proxy is asked for a whole URL, or to be a tunnel."""
    if not target.startswith("/"):
        url = urlsplit(target)
        return url.hostname or "", url.port
    host, port = connection.host, connection.port
    if getattr(connection, "_tunnel_host", None):
        host, port = connection._tunnel_host, connection._tunnel_port
    host = host.rpartition("@")[2]  # urllib.request takes a login in a URL for part of the name
    return host, None if port == connection.default_port else port


class _Reply:
    """A response of http.client as `_sends` wants it."""

    __slots__ = ("_response",)

    def __init__(self, response: Any) -> None:
        self._response = response

    def is_redirect(self) -> bool:
        return self._response.status in _sends.REDIRECTS and "location" in self._response.headers

    def from_cache(self) -> bool:
        return False

    def watch(self, request: Request | Reading) -> None:
        """Errors have no body that says more; nobody may ever read it."""
        response, header = self._response, self._response.headers.get
        inflate = inflate_for(header("content-encoding") or "")
        request.headers_came(response.status, (header("content-type") or "").lower(), inflate, header)
        framing = framing_of(bool(response.chunked), response.length)
        if response.status >= 400 or framing.ended or response.fp is None:
            request.finish("completed")
        else:
            response.fp = WatchedFile(response.fp, request, framing)


def _watch_sending(owner: Any, make_hook: type[Hook]) -> Hook:
    hook = make_hook(owner, "endheaders")
    original = hook.original

    @functools.wraps(original)
    def endheaders(connection: Any, *args: Any, **kwargs: Any) -> Any:
        if not hook.on:
            return original(connection, *args, **kwargs)
        entry = _begin(connection, args, kwargs)
        if runtime.own_hosts:
            _add_context(connection)
        if entry is None:
            return original(connection, *args, **kwargs)
        try:
            result = original(connection, *args, **kwargs)
        except BaseException as error:
            _sends.failed(entry, error)
            _sends.leave(entry)
            raise
        _await_answer(connection, entry)
        return result

    hook.put(endheaders)
    return hook


def _watch_answers(owner: Any, make_hook: type[Hook]) -> Hook:
    hook = make_hook(owner, "getresponse")
    original = hook.original

    @functools.wraps(original)
    def getresponse(connection: Any, *args: Any, **kwargs: Any) -> Any:
        expected = _expected.get(connection) if hook.on and _expected else None
        if expected is None:
            return original(connection, *args, **kwargs)
        try:
            response = original(connection, *args, **kwargs)
        except BaseException as error:
            if expected.sent_here:
                _expected.pop(connection, None)
                _give_up(expected.passing, error)
            raise
        _expected.pop(connection, None)
        _answered(expected, response)
        return response

    hook.put(getresponse)
    return hook


@guarded
def _begin(connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _sends.Entry | None:
    """`endheaders(message_body=None)`, when the request line and the headers are in the buffer."""
    buffer = connection._buffer
    if not buffer or not buffer[0].startswith((b"POST ", b"GET ")):
        return None
    method, target, _ = buffer[0].decode("ascii", "replace").split(" ", 2)
    if not (endpoint_of(method, path_of(target)) if method == "POST" else _sends.may_be_a_look(target)):
        return None
    body = kwargs["message_body"] if "message_body" in kwargs else (args[0] if args else None)
    return _sends.enter(_Message(connection, method, target, body), transport=True)


@guarded
def _add_context(connection: Any) -> None:
    """To the headers that are about to leave."""
    buffer = connection._buffer
    if not buffer:
        return
    _, target, _ = buffer[0].decode("ascii", "replace").split(" ", 2)
    theirs: dict[str, str] = {}
    for line in buffer[1:]:
        name, _, value = line.decode("latin-1").partition(":")
        theirs.setdefault(name.lower(), value.strip())
    for name, value in additions(theirs, *_server_of(connection, target)):
        start = f"{name}:".encode()
        buffer[1:] = [line for line in buffer[1:] if not line.lower().startswith(start)]
        buffer.append(f"{name}: {value}".encode("latin-1"))


@guarded
def _await_answer(connection: Any, entry: _sends.Entry) -> None:
    passing = _sends.step_out(entry)
    if passing is not None:
        _expected[connection] = _Expected(passing, sent_here=True)


@guarded
def _answered(expected: _Expected, response: Any) -> None:
    try:
        expected.passing.answered(_Reply(response))
    finally:
        if expected.sent_here:
            expected.passing.left()


@guarded
def _give_up(passing: _sends.Passing, error: BaseException) -> None:
    passing.failed(error)
    passing.left()


def path_of(target: str) -> str:
    """The path of a request target, without its query; a proxy's is a whole URL."""
    if target.startswith("/"):
        return target.partition("?")[0]
    return urlsplit(target).path


def body_bytes(body: object) -> bytes | None:
    """A body that was given whole; None where it is a file or an iterable."""
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytearray) else None
