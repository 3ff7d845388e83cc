"""A GET whose answer is read along: it asks no model, but brings what was asked for earlier."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from fanlight._guard import guarded
from fanlight.capture.outcome import End
from fanlight.capture.wire_format import Header, no_header

V = TypeVar("V")


class BodyTaker(Protocol):
    """Who wants the body of an answer."""

    def begin(self, content_type: str, header: Header) -> None: ...

    def feed(self, data: bytes) -> None: ...

    def finish(self) -> None: ...


class Reading:
    """The body of one answer on its way to its taker, if the answer is one."""

    __slots__ = ("_reads", "_taker", "ended", "inflate", "waited_ns")

    def __init__(self, taker: BodyTaker) -> None:
        self._taker = taker
        self._reads = False
        self.ended = False
        self.inflate: Callable[[bytes], bytes] | None = None
        self.waited_ns = 0

    def headers_came(
        self,
        status: int,
        content_type: str,
        inflate: Callable[[bytes], bytes] | None,
        header: Header = no_header,
    ) -> None:
        """The answer has begun; its body follows."""
        self._reads = status == 200
        self.inflate = inflate
        if self._reads:
            self._taker.begin(content_type, header)

    @guarded
    def feed(self, chunk: bytes, now_ns: int) -> None:
        """Bytes of the body have passed."""
        if self._reads and not self.ended:
            self._taker.feed(chunk if self.inflate is None else self.inflate(chunk))

    def whole(self, body: bytes) -> None:
        """The body has come at once, with its content encoding undone."""
        self.inflate = None
        self.feed(body, 0)
        self.finish("completed")

    @guarded
    def finish(self, end: End) -> None:
        """The body is over, whole or not; only the first call counts."""
        if not self.ended:
            self.ended = True
            if self._reads:
                self._taker.finish()

    def failed(self, error: BaseException) -> None:
        """An exception came out of the request or out of its body."""
        self.finish("error")


class Recent(Generic[V]):
    """The latest values by name; the oldest are forgotten first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[str, V] = OrderedDict()

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def put(self, name: str, value: V) -> None:
        """Keep a value."""
        self._values[name] = value
        while len(self._values) > self._limit:
            self._values.pop(next(iter(self._values)), None)

    def get(self, name: str) -> V | None:
        return self._values.get(name)

    def forget(self, name: str) -> None:
        self._values.pop(name, None)

    def clear(self) -> None:
        self._values.clear()
