"""What is on its way: a send of a client, and the physical requests that it makes.

A `Send` is one pass through a client (or through a transport that is used alone), a `Leaf` one through a
transport below it. Most sends have one leaf. A transport that retries or hedges has several, each a request
of its own; a transport that nobody watches has none, and the send is then the request. Where it is not known
whether a leaf will come, the send is the request until one does: a process that dies may have sent it.

Nothing here knows a client library: each says what passes as a `Message` and what comes back as a `Reply`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from contextvars import ContextVar, Token
from typing import Any, Protocol

from fanlight._guard import guarded, swallow
from fanlight._spans import suppressed
from fanlight.capture.endpoints import endpoint_at, endpoint_of
from fanlight.capture.request import Asked, read_sent
from fanlight.capture.wire_format import Endpoint
from fanlight.patches._background import look_at
from fanlight.patches._batches import results_at
from fanlight.patches._call import Call, Request, clock_ns
from fanlight.patches._current import Entered, current_call, enter_call, leave_call
from fanlight.patches._readings import BodyTaker, Reading

REDIRECTS = frozenset((301, 302, 303, 307, 308))
# Every request of a Stainless-made SDK has it, whatever a proxy before the model has made of the path.
_SDK_HEADER = "x-stainless-retry-count"


Sent = tuple[str, int | None, str, bytes | None]  # host, port, path, body


class Message(ABC):
    """A request that a library is about to send; only what is asked for is read."""

    __slots__ = ("method", "source")

    def __init__(self, method: str, source: Any = None) -> None:
        self.method = method
        self.source = source  # the library's own object, if the same one passes several layers

    @abstractmethod
    def path(self) -> str:
        """Without the query, still quoted."""
        ...

    @abstractmethod
    def server(self) -> tuple[str, int | None]:
        """Host, and the port where it is not the scheme's own."""
        ...

    @abstractmethod
    def has_header(self, name: str) -> bool:
        """Whether it has a header of this name, which is in lower case."""

    @abstractmethod
    def body(self) -> bytes | None:
        """None where it is a file or a generator, which only the library may read."""

    def sent_unseen(self) -> bool:
        """Whether it may be sent by a transport that nobody watches."""
        return False

    def sent(self, *, json: bool) -> Sent:
        """All of that at once, its body only where it is JSON."""
        return *self.server(), self.path(), self.body() if json else None

    def asked(self, endpoint: Endpoint) -> Asked | None:
        """What it asks of a model; None if it is no request to `endpoint` after all."""
        return read_sent(endpoint, self.path(), self.body())


class Reply(Protocol):
    """An answer whose headers have come."""

    def is_redirect(self) -> bool: ...

    def from_cache(self) -> bool:
        """True if no server was asked for it."""
        ...

    def watch(self, request: Request | Reading) -> None:
        """Give `request` the headers, and its body: at once if it is there, else as it is read."""


class Send:
    """One pass through a client. `running` until it has returned its response, whose body may still come."""

    __slots__ = (
        "_entered",
        "_own_call",
        "_request",
        "_started_ns",
        "call",
        "endpoint",
        "message",
        "running",
        "sent",
    )

    def __init__(
        self, message: Message, endpoint: Endpoint, call: Call, *, own_call: bool, alone: bool
    ) -> None:
        self.message = message
        self.endpoint = endpoint
        self.call = call
        self.running = True
        self.sent = False  # a watched transport below has sent something
        self._own_call = own_call
        self._started_ns = clock_ns()
        self._request = self.begin(message, self._started_ns) if alone else None
        self._entered: Entered | None = enter_call(call) if own_call else None

    def begin_below(self, message: Message) -> Request:
        """What a transport below sends: in place of what this was taken for."""
        self.sent = True
        self._take_back()
        return self.begin(message, clock_ns())

    def answered(self, reply: Reply) -> None:
        if self.sent:
            return
        if reply.is_redirect() or reply.from_cache():
            self._take_back()
        else:
            watch(reply, self._request or self._begun())

    def failed(self, error: BaseException) -> None:
        if not self.sent:
            self._begun().failed(error)

    def stepped_out(self) -> None:
        """The call is not current any more, though its answer is still to come."""
        if self._entered is not None:
            leave_call(self._entered)
            self._entered = None

    def left(self) -> None:
        self.running = False
        if not self._own_call:
            return
        self.stepped_out()
        if self.call.requests:
            self.call.returned(None)
        else:  # a redirect, or an answer from a cache: not a call of its own
            self.call.discard()

    def begin(self, message: Message, started_ns: int) -> Request:
        host, port, path, body = message.sent(json=bool(self.endpoint.keys))
        return Request(self.call, host, port, path, body, started_ns)

    def _begun(self) -> Request:
        return self._request or self.begin(self.message, self._started_ns)

    def _take_back(self) -> None:
        if self._request is not None:
            self.call.requests.remove(self._request)
            self._request = None


class Leaf:
    """One pass through a transport below a send: a physical request."""

    __slots__ = ("_request", "_send", "answered_once", "running")

    def __init__(self, send: Send, message: Message) -> None:
        self.running = True
        self.answered_once = False
        self._send = send
        for earlier in send.call.requests:
            if earlier.status is not None and earlier.status >= 400:
                earlier.finish("closed")  # its transport gave it up without closing it
        self._request = send.begin_below(message)

    def answered(self, reply: Reply) -> None:
        self.answered_once = True
        if reply.is_redirect():
            self._send.call.requests.remove(self._request)
            self._send.sent = False
        else:
            watch(reply, self._request)

    def failed(self, error: BaseException) -> None:
        self._request.failed(error)

    def stepped_out(self) -> None:
        """Nothing is current because of a leaf."""

    def left(self) -> None:
        self.running = False


class Look:
    """A GET that brings what was asked for earlier: its answer is read along."""

    __slots__ = ("_reading", "running")

    def __init__(self, taker: BodyTaker) -> None:
        self.running = True
        self._reading = Reading(taker)

    def answered(self, reply: Reply) -> None:
        if not (reply.is_redirect() or reply.from_cache()):
            watch(reply, self._reading)

    def failed(self, error: BaseException) -> None:
        self._reading.failed(error)

    def stepped_out(self) -> None:
        """Nothing is current because of a look."""

    def left(self) -> None:
        self.running = False


Passing = Send | Leaf | Look
_passing: ContextVar[Passing | None] = ContextVar("fanlight.passing", default=None)
Entry = tuple[Passing, "Token[Passing | None]"]


def passing() -> Passing | None:
    """The innermost pass that the running code is in."""
    found = _passing.get()
    return found if found is not None and found.running else None  # a task that outlived it has inherited it


def enter(message: Message, *, transport: bool) -> Entry | None:
    """What a request that comes by here is: a send, a leaf of one, or (None) nothing to watch."""
    try:
        recognised = _recognise(message, transport)
        return None if recognised is None else (recognised, _passing.set(recognised))
    except Exception as error:  # noqa: BLE001  (a guard without its call)
        swallow("sends.enter", error)
        return None


def answered(entry: Entry, reply: Reply) -> None:
    try:
        entry[0].answered(reply)
    except Exception as error:  # noqa: BLE001  (a guard without its call)
        swallow("sends.answered", error)


@guarded
def failed(entry: Entry, error: BaseException) -> None:
    entry[0].failed(error)


def leave(entry: Entry) -> None:
    try:
        try:
            _passing.reset(entry[1])
        except ValueError:  # a coroutine closed by the garbage collector, in another context
            pass
        finally:
            entry[0].left()
    except Exception as error:  # noqa: BLE001  (a guard without its call)
        swallow("sends.leave", error)


@guarded
def step_out(entry: Entry) -> Passing:
    """Leave the code that sends, of a library that fetches the answer in a second step; `left` ends it."""
    with suppress(ValueError):  # as in `leave`, which is what runs in a call
        _passing.reset(entry[1])
    entry[0].stepped_out()
    return entry[0]


def _recognise(message: Message, transport: bool) -> Passing | None:
    above = _passing.get()
    if above is not None and not above.running:
        above = None
    if type(above) is Leaf or type(above) is Look:
        return None
    if message.method == "GET":
        taker = None if above is not None or suppressed() else _taker_of(message)
        return None if taker is None else Look(taker)
    if type(above) is Send and message.source is not None and message.source is above.message.source:
        return Leaf(above, message) if transport else None
    path = message.path()
    endpoint = endpoint_at(path) if message.method == "POST" else endpoint_of(message.method, path)
    if type(above) is Send:
        if endpoint is above.endpoint:
            return Leaf(above, message) if transport else None
        return None if endpoint is None else _own_send(message, endpoint, transport)
    call = current_call.get()
    if call is not None and call.running and (endpoint is call.endpoint or message.has_header(_SDK_HEADER)):
        return Send(message, call.endpoint, call, own_call=False, alone=transport or message.sent_unseen())
    return None if endpoint is None else _own_send(message, endpoint, transport)


def may_be_a_look(url: str) -> bool:
    """Whether a GET can be a look at something that was asked for earlier, before more is found out of it."""
    return "/responses/" in url or "/files/" in url or "/batches" in url or "/batch/jobs" in url


def _taker_of(message: Message) -> BodyTaker | None:
    path = message.path()
    return look_at(path) or results_at(path, message.server())


def _own_send(message: Message, endpoint: Endpoint, transport: bool) -> Send | None:
    """A request outside any operation is a call of its own, if its body is what the endpoint takes."""
    if suppressed():
        return None
    asked = message.asked(endpoint)
    if asked is None:
        return None
    call = Call(endpoint, asked)
    try:
        return Send(message, endpoint, call, own_call=True, alone=transport or message.sent_unseen())
    except BaseException:
        call.discard()  # an error of ours: the call must not stay open for ever
        raise


def watch(reply: Reply, request: Request | Reading) -> None:
    """Follow the body of a reply."""
    try:
        reply.watch(request)
    except BaseException:
        request.finish("error")  # an error of ours: the request must not stay open for ever
        raise
