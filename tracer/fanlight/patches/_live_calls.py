"""The turns of a model over one connection to Gemini's Live API: each is a call with one request."""

from __future__ import annotations

from fanlight._guard import guarded
from fanlight.capture.formats.gemini_live import LIVE
from fanlight.capture.live_events import (
    asks,
    is_news,
    is_of_a_turn,
    is_only_audio,
    leads_to_live,
    read_setup,
)
from fanlight.capture.request import Asked
from fanlight.capture.socket_events import Create, socket_endpoint
from fanlight.patches._call import Request, clock_ns
from fanlight.patches._socket_calls import STREAM, SWITCHED, SocketCalls


class LiveCalls(SocketCalls):
    """What one connection is doing. One turn at a time; the server begins those that it heard the end of."""

    __slots__ = ("_asked",)

    def __init__(self, host: str, port: int | None, target: str) -> None:
        super().__init__(LIVE, host, port, target)
        self._asked = Asked(stream=True)

    @guarded
    def sending(self, data: bytes) -> Request | None:
        """The app sends a message; the request that it is, if it is one."""
        asked = read_setup(data)
        if asked is not None:
            self._asked = asked
        elif not self._open and asks(data):
            return self._begin(Create(self._asked, None, None), None)
        return None

    @guarded
    def received(self, data: bytes) -> None:
        """A message for the app has come."""
        self._forget_ended()
        of_a_turn = is_of_a_turn(data)
        if not self._open and of_a_turn:
            self._begin(Create(self._asked, None, None), None)
        if not self._open:
            return
        now_ns, request = clock_ns(), self._open[0].request
        if request.status is None:
            request.headers_came(SWITCHED, STREAM, None)
        if of_a_turn:
            request.first_content_ns = request.first_content_ns or now_ns
        if is_only_audio(data):
            request.last_byte_ns = now_ns
        elif of_a_turn or is_news(data):
            request.feed(b"data:" + data.replace(b"\n", b" ") + b"\n\n", now_ns)
            self._forget_ended()
        self._returned_ns = clock_ns() if self._open else 0


def calls_at(target: str, host: str, port: int | None) -> SocketCalls | None:
    """What a connection to this path and query is doing; None where it leads to no model."""
    if leads_to_live(target):
        return LiveCalls(host, port, target)
    endpoint = socket_endpoint(target)
    return None if endpoint is None else SocketCalls(endpoint, host, port, target)
