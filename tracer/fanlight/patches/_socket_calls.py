"""The answers that are on their way over one websocket: each `response.create` is a call with one request."""

from __future__ import annotations

from collections.abc import Iterator

from fanlight._guard import guarded
from fanlight._spans import suppressed
from fanlight.capture.formats.openai_realtime import REALTIME
from fanlight.capture.outcome import End
from fanlight.capture.request import Asked
from fanlight.capture.socket_events import (
    AUDIO,
    CREATED,
    ERROR,
    FINAL,
    Create,
    Event,
    asked_by,
    kind_of,
    read_create,
    read_event,
)
from fanlight.capture.wire_format import Endpoint
from fanlight.patches._call import Call, Request, clock_ns

SWITCHED = 101  # the status of the request that became this websocket (RFC 6455, 4.2.2)
STREAM = "text/event-stream"  # events are given to the reader as such a stream


def as_bytes(message: str | bytes | bytearray | memoryview) -> bytes:
    """A message, as it was on the wire."""
    return message.encode() if isinstance(message, str) else bytes(message)


class _Open:
    """A response that was asked for and is not over."""

    __slots__ = ("event_id", "lane", "request", "response_id")

    def __init__(self, request: Request, lane: str | None, event_id: str | None) -> None:
        self.request = request
        self.lane = lane
        self.event_id = event_id
        self.response_id: str | None = None  # not known before `response.created`


class SocketCalls:
    """What one connection is doing. Sync and async connections tell it what they send and receive."""

    __slots__ = ("_endpoint", "_host", "_open", "_port", "_returned_ns", "_target")

    def __init__(self, endpoint: Endpoint, host: str, port: int | None, target: str) -> None:
        self._endpoint = endpoint
        self._host = host
        self._port = port
        self._target = target
        self._open: list[_Open] = []
        self._returned_ns = 0  # when the app had its latest event

    @guarded
    def sending(self, data: bytes) -> Request | None:
        """The app sends an event; the request that it is, if it is one."""
        if b"response.create" not in data:
            return None
        create = read_create(data, self._endpoint, self._target)
        return None if create is None else self._begin(create, data)

    @guarded
    def receiving(self) -> None:
        """The app waits for the next event."""
        if self._returned_ns:
            waited_ns, self._returned_ns = clock_ns() - self._returned_ns, 0
            for opened in self._open:
                opened.request.waited_ns += waited_ns

    @guarded
    def received(self, data: bytes) -> None:
        """An event for the app has come."""
        self._forget_ended()
        kind = kind_of(data)
        if kind == ERROR or (kind is not None and kind.startswith("response.")):
            self._take(kind, data)
        if self._open:
            self._returned_ns = clock_ns()

    @guarded
    def failed(self, error: BaseException) -> None:
        """The connection is gone."""
        for opened in self._take_all():
            opened.request.failed(error)

    @guarded
    def finish(self, end: End) -> None:
        """The app closes the connection, or has let it go."""
        for opened in self._take_all():
            opened.request.finish(end)

    def __del__(self) -> None:
        self.finish("abandoned")

    def _take_all(self) -> Iterator[_Open]:
        while self._open:
            yield self._open.pop(0)

    def _forget_ended(self) -> None:
        if any(opened.request.ended for opened in self._open):
            self._open = [opened for opened in self._open if not opened.request.ended]

    def _begin(self, create: Create, data: bytes | None) -> Request | None:
        if suppressed():
            return None
        call = Call(self._endpoint, create.asked)
        path = self._target.partition("?")[0]
        if self._endpoint is REALTIME:
            data = None  # the conversation is the server's: this event is not what the model reads
        request = Request(call, self._host, self._port, path, data, clock_ns())
        call.returned(None)
        self._open.append(_Open(request, create.lane, create.event_id))
        return request

    def _take(self, kind: str, data: bytes) -> None:
        now_ns = clock_ns()
        opened = self._opened_for(kind, data)
        if opened is None:
            return
        request = opened.request
        if request.status is None:
            request.headers_came(SWITCHED, STREAM, None)
        if kind in AUDIO:  # no text to be counted
            request.first_content_ns = request.first_content_ns or now_ns
            request.last_byte_ns = now_ns
            return
        request.feed(b"data:" + data.replace(b"\n", b" ") + b"\n\n", now_ns)
        if kind in FINAL or kind == ERROR:
            request.finish("completed")
            self._forget_ended()

    def _opened_for(self, kind: str, data: bytes) -> _Open | None:
        """Which response an event is about. Only where there is a choice it is decoded for that."""
        if kind in (ERROR, CREATED):
            event = read_event(data)
            if event is None:
                return None
            return self._erroneous(event) if kind == ERROR else self._created(event)
        if len(self._open) < 2:
            return self._open[0] if self._open else None
        event = read_event(data)
        return None if event is None else self._named(event)

    def _named(self, event: Event) -> _Open | None:
        for opened in self._open:
            if event.response_id is not None and opened.response_id == event.response_id:
                return opened
        for opened in self._open:
            if event.response_id is None and opened.lane == event.lane:
                return opened
        return None

    def _created(self, event: Event) -> _Open | None:
        """The oldest that waits in this lane; else the server began one itself (a turn was detected)."""
        waiting = [o for o in self._open if o.response_id is None and o.lane == event.lane]
        if waiting:
            opened = waiting[0]
        else:
            asked: Asked = asked_by(self._endpoint, self._target, {"model": event.model})
            if self._begin(Create(asked, event.lane, None), None) is None:
                return None
            opened = self._open[-1]
        opened.response_id = event.response_id or ""
        return opened

    def _erroneous(self, event: Event) -> _Open | None:
        """Not every error ends a response: it may be about another event of the client."""
        for opened in self._open:
            if event.about is not None and opened.event_id == event.about:
                return self._refused(opened, event)
        if event.about is not None:
            return None
        for opened in self._open:
            if opened.lane == event.lane:
                return self._refused(opened, event)
        return None

    def _refused(self, opened: _Open, event: Event) -> _Open:
        if event.status is not None and opened.request.status is None:
            opened.request.headers_came(event.status, STREAM, None)
        return opened
