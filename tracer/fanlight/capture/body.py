"""An answer that is no event stream: kept until it is whole, then read once."""

from __future__ import annotations

from typing import Protocol

from fanlight.capture.answer import Answer, read_answer
from fanlight.capture.endpoints import Endpoint
from fanlight.capture.sse import StreamReader

MAX_BODY_BYTES = 32 * 2**20  # above, the body is let go and its answer stays unknown


class AnswerReader(Protocol):
    """What both readers offer: bytes in, an `Answer` out."""

    answer: Answer
    content_events: int
    content_bytes: int
    done: bool

    def feed(self, chunk: bytes) -> None: ...

    def finish(self) -> None: ...


class BodyReader:
    """Collects a JSON body and reads it at `finish`."""

    __slots__ = ("_parts", "_size", "answer", "content_bytes", "content_events", "done")

    def __init__(self) -> None:
        self.answer = Answer()
        self.content_events = 0
        self.content_bytes = 0
        self.done = False
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        self._size += len(chunk)
        if self._size <= MAX_BODY_BYTES:
            self._parts.append(chunk)
        else:
            self._parts.clear()

    def finish(self) -> None:
        """Read the body, as far as it came."""
        if self._parts:
            self.answer = read_answer(self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))
            self._parts.clear()


def reader_for(endpoint: Endpoint, content_type: str) -> AnswerReader | None:
    """The reader of an answer, chosen by its content type; None where it is neither events nor JSON."""
    if content_type.startswith("text/event-stream"):
        return StreamReader(endpoint.shape)
    if "json" in content_type or not content_type:
        return BodyReader()
    return None
