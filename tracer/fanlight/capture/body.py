"""The reader of an answer, by its wire format and content type; and that of a body which is no stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from fanlight.capture.answer import Answer
from fanlight.capture.sse import StreamReader
from fanlight.capture.values import decode_object
from fanlight.capture.wire_format import Endpoint, Header, WireFormat, no_header

MAX_BODY_BYTES = 32 * 2**20  # above, the body is let go and its answer stays unknown
SMALL_BODY_BYTES = 64 * 2**10  # up to here a whole body is decoded; above, first its end is tried alone


class AnswerReader(Protocol):
    """What all readers offer: bytes in, an `Answer` out."""

    answer: Answer
    content_events: int
    content_bytes: int
    done: bool

    @property
    def streamed(self) -> bool: ...

    def feed(self, chunk: bytes) -> None: ...

    def finish(self) -> None: ...


class BodyReader:
    """Collects a JSON body and reads it at `finish`."""

    streamed = False
    __slots__ = ("_format", "_parts", "_size", "answer", "content_bytes", "content_events", "done")

    def __init__(self, wire_format: WireFormat) -> None:
        self.answer = Answer()
        self.content_events = 0
        self.content_bytes = 0
        self.done = False
        self._format = wire_format
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
            read_answer(
                self._parts[0] if len(self._parts) == 1 else b"".join(self._parts), self._format, self.answer
            )
            self._parts.clear()


def reader_for(endpoint: Endpoint, content_type: str, header: Header = no_header) -> AnswerReader | None:
    """The reader of an answer from `endpoint`; None where its content type is none that models answer with.

    `header` gives the answer's headers by their name in lower case: some servers put tokens or times there.
    """
    wire_format = endpoint.format
    reader: AnswerReader | None = None
    if content_type.startswith("text/event-stream"):
        reader = StreamReader(wire_format)
    elif "json" in content_type or not content_type:
        reader = BodyReader(wire_format)
    if reader is not None and wire_format.headers is not None:
        wire_format.headers(reader.answer, header)
    return reader


def read_answer(body: bytes, wire_format: WireFormat, answer: Answer | None = None) -> Answer:
    """What a whole JSON body says; an empty answer if it is no JSON object."""
    answer = Answer() if answer is None else answer
    decoded = _decode_large(body) if len(body) > SMALL_BODY_BYTES else decode_object(body)
    if decoded is not None:
        wire_format.absorb(answer, decoded)
    return answer


def _decode_large(body: bytes) -> Mapping[str, object] | None:
    """Embeddings and images put one large array before a small `usage`: what surrounds the array is enough.

    What follows the body's last `]` is at its top level if, with an opening brace put before it, it is one
    JSON object: every bracket opened in it is then closed in it, and the body's own is the only one left.
    """
    if b'"choices"' in body or b'"output"' in body:
        return decode_object(body)
    tail = decode_object(b"{" + body[body.rfind(b"]") + 1 :].lstrip(b", \r\n\t"))
    if tail is None or "usage" not in tail:
        return decode_object(body)
    return {**_decode_members(body[: body.find(b"[")]), **tail}


def _decode_members(head: bytes) -> Mapping[str, object]:
    """The complete members of an object whose text breaks off before a large value."""
    whole = head[: head.rfind(b",")] + b"}"
    return decode_object(whole) or {}
