"""What is on its way: a send of a client, and the physical requests that it makes.

A `Send` is one pass through a client (or through a transport that is used alone), a `Leaf` one through a
transport below it. Most sends have one leaf. A transport that retries or hedges has several, each a request
of its own; a transport that is not httpx's has none, and the send is then the request.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar, Token
from types import ModuleType
from typing import Any

from fanlight._guard import guarded
from fanlight._spans import suppressed
from fanlight.capture.endpoints import endpoint_of
from fanlight.capture.request import Asked, read_sent
from fanlight.capture.wire_format import Endpoint
from fanlight.patches._call import Call, Inflate, Request, clock_ns
from fanlight.patches._current import Entered, enter_call, leave_call, running_call
from fanlight.patches._streams import stream_classes

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
# Set by hishel, the cache for httpx, on answers that no server was asked for (hishel.com, "Extensions").
_CACHE_MARKS = frozenset(("from_cache", "hishel_from_cache"))
# Every request of a Stainless-made SDK has it, whatever a proxy before the model has made of the path.
_SDK_HEADER = "x-stainless-retry-count"


class Send:
    """One pass through a client. `running` until it has returned its response, whose body may still come."""

    __slots__ = (
        "_entered",
        "_own_call",
        "_started_ns",
        "call",
        "endpoint",
        "message",
        "module",
        "running",
        "sent",
    )

    def __init__(
        self, module: ModuleType, message: Any, endpoint: Endpoint, call: Call, *, own_call: bool
    ) -> None:
        self.module = module
        self.message = message  # the module's request object
        self.endpoint = endpoint
        self.call = call
        self.running = True
        self.sent = False  # a watched transport below has sent something
        self._own_call = own_call
        self._started_ns = clock_ns()
        self._entered: Entered | None = enter_call(call) if own_call else None

    def begin(self, message: Any, started_ns: int) -> Request:
        url = message.url
        sent = getattr(message, "_content", None)  # absent where the body is a file or a generator
        if not isinstance(sent, bytes) or not self.endpoint.is_json:
            sent = None
        return Request(self.call, url.host, url.port, _path(message), sent, started_ns)

    def answered(self, response: Any, *, sync: bool) -> None:
        if self.sent or _is_redirect(response) or not _CACHE_MARKS.isdisjoint(response.extensions):
            return
        watch_response(self.module, response, self.begin(self.message, self._started_ns), sync=sync)

    def failed(self, error: BaseException) -> None:
        if not self.sent:
            self.begin(self.message, self._started_ns).failed(error)

    def left(self) -> None:
        self.running = False
        if self._entered is None:
            return
        leave_call(self._entered)
        if self.call.requests:
            self.call.returned(None)
        else:  # a redirect, or an answer from a cache: not a call of its own
            self.call.discard()


class Leaf:
    """One pass through a transport of httpx below a send: a physical request."""

    __slots__ = ("_module", "_request", "_send", "running")

    def __init__(self, send: Send, message: Any) -> None:
        self.running = True
        self._module = send.module
        self._send = send
        for earlier in send.call.requests:
            if earlier.status is not None and earlier.status >= 400:
                earlier.finish("closed")  # its transport gave it up without closing it
        self._request = send.begin(message, clock_ns())
        send.sent = True

    def answered(self, response: Any, *, sync: bool) -> None:
        if _is_redirect(response):
            self._send.call.requests.remove(self._request)
        else:
            watch_response(self._module, response, self._request, sync=sync)

    def failed(self, error: BaseException) -> None:
        self._request.failed(error)

    def left(self) -> None:
        self.running = False


Passing = Send | Leaf
_passing: ContextVar[Passing | None] = ContextVar("fanlight.passing", default=None)
Entry = tuple[Passing, "Token[Passing | None]"]


@guarded
def enter(module: ModuleType, message: Any, *, transport: bool) -> Entry | None:
    """What a request that comes by here is: a send, a leaf of one, or (None) nothing to watch."""
    passing = _recognise(module, message, transport)
    return None if passing is None else (passing, _passing.set(passing))


@guarded
def answered(entry: Entry, response: Any, *, sync: bool) -> None:
    entry[0].answered(response, sync=sync)


@guarded
def failed(entry: Entry, error: BaseException) -> None:
    entry[0].failed(error)


@guarded
def leave(entry: Entry) -> None:
    passing, token = entry
    with contextlib.suppress(ValueError):  # a coroutine closed by the garbage collector, in another context
        _passing.reset(token)
    passing.left()


def _recognise(module: ModuleType, message: Any, transport: bool) -> Passing | None:
    above = _passing.get()
    if above is not None and not above.running:
        above = None  # inherited by a task that outlived it
    if type(above) is Leaf:
        return None
    endpoint = endpoint_of(message.method, _path(message))
    if isinstance(above, Send):
        if message is above.message or endpoint is above.endpoint:
            return Leaf(above, message) if transport else None
        return None if endpoint is None else _own_send(module, message, endpoint)
    call = running_call()
    if call is not None and (endpoint is call.endpoint or _SDK_HEADER in message.headers):
        return Send(module, message, call.endpoint, call, own_call=False)
    return None if endpoint is None else _own_send(module, message, endpoint)


def _own_send(module: ModuleType, message: Any, endpoint: Endpoint) -> Send | None:
    """A request outside any operation is a call of its own, if its body is what the endpoint takes."""
    if suppressed():
        return None
    asked = _asked(module, message, endpoint)
    if asked is None:
        return None
    return Send(module, message, endpoint, Call(endpoint, asked), own_call=True)


def _asked(module: ModuleType, message: Any, endpoint: Endpoint) -> Asked | None:
    content = getattr(message, "_content", None)
    if content is None and isinstance(message.stream, module.ByteStream):
        content = b"".join(message.stream)  # a redirect: the first request's body, which can be read again
    return read_sent(endpoint, _path(message), content if isinstance(content, bytes) else None)


def _path(message: Any) -> str:
    """The path of a request without its query. `url.path` would unquote it, at five times the cost."""
    path: bytes = message.url.raw_path
    return path.partition(b"?")[0].decode("ascii", "replace")


def _is_redirect(response: Any) -> bool:
    return response.status_code in _REDIRECTS and "location" in response.headers


def watch_response(module: ModuleType, response: Any, request: Request, *, sync: bool) -> None:
    """Follow the body of a response: at once if it is there, else as it is read."""
    try:
        _watch_body(module, response, request, sync)
    except BaseException:
        request.finish("error")  # an error of ours: the request must not stay open for ever
        raise


def _watch_body(module: ModuleType, response: Any, request: Request, sync: bool) -> None:
    content_type, encoding = _body_headers(response)
    request.headers_came(response.status_code, content_type, _inflate(module, encoding), response.headers.get)
    content = getattr(response, "_content", None)
    if isinstance(content, bytes):
        request.inflate = None  # already undone
        request.feed(content, clock_ns())
        request.finish("completed")
        return
    classes = stream_classes(module)
    response.stream = (classes.sync if sync else classes.asynchronous)(response.stream, request)


def _body_headers(response: Any) -> tuple[str, str]:
    content_type = encoding = b""
    for key, value in response.headers.raw:
        if len(key) == 12 and key.lower() == b"content-type":
            content_type = value
        elif len(key) == 16 and key.lower() == b"content-encoding":
            encoding = value
    return content_type.decode("latin-1").lower(), encoding.decode("latin-1").strip().lower()


def _inflate(module: ModuleType, encoding: str) -> Inflate | None:
    """The module's own decoders, the last applied first; it leaves out those that it does not know."""
    if not encoding or encoding == "identity":
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
