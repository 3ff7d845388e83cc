"""The reader of an answer, by its wire format and content type; and that of a body which is no stream."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Literal, Protocol

from fanlight.capture.answer import Answer
from fanlight.capture.aws_stream import AwsStreamReader
from fanlight.capture.content import GeneratedText, escaped, generated_text
from fanlight.capture.events import EventReader
from fanlight.capture.json_array import ArrayReader
from fanlight.capture.lines import LineReader
from fanlight.capture.sse import StreamReader
from fanlight.capture.unknown import UnknownReader
from fanlight.capture.values import decode, decode_object, mappings
from fanlight.capture.wire_format import Endpoint, Header, WireFormat, no_header

MAX_BODY_BYTES = 32 * 2**20  # above, the body is let go and its answer stays unknown
MAX_UNNAMED_STREAM_BYTES = 2**20  # above, a body that is no JSON is not read as a stream: it may be a cut one
SMALL_BODY_BYTES = 64 * 2**10  # up to here a whole body is decoded; above, first its end is tried alone


class AnswerReader(Protocol):
    """What all readers offer: bytes in, an `Answer` out."""

    @property
    def answer(self) -> Answer: ...

    @property
    def content_events(self) -> int: ...

    @property
    def content_bytes(self) -> int: ...

    @property
    def done(self) -> bool: ...

    @property
    def streamed(self) -> bool: ...

    def feed(self, chunk: bytes) -> None: ...

    def finish(self) -> None: ...


class BodyReader:
    """Collects a JSON body and reads it at `finish`."""

    streamed = False
    __slots__ = ("_format", "_parts", "_size", "answer", "content_bytes", "content_events", "done")

    def __init__(self, wire_format: WireFormat, answer: Answer | None = None) -> None:
        self.answer = Answer() if answer is None else answer
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
        if not self._parts:
            return
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        if not read_answer(body, self._format, self.answer) and len(body) <= MAX_UNNAMED_STREAM_BYTES:
            self._read_stream(body)

    def _read_stream(self, body: bytes) -> None:
        """A stream after all, of JSON objects, whose content type did not say so."""
        stream = ArrayReader(self._format, self.answer)
        stream.feed(body)
        stream.finish()
        self.content_events, self.content_bytes = stream.content_events, stream.content_bytes
        self.done = stream.done


def reader_for(
    endpoint: Endpoint, content_type: str, header: Header = no_header, *, keep_text: bool = False
) -> AnswerReader | None:
    """The reader of an answer from `endpoint`; None where its content type is none that models answer with.

    `header` gives the answer's headers by their name in lower case: some servers put tokens or times there.
    """
    wire_format, answer = endpoint.format, Answer(text=GeneratedText() if keep_text else None)
    if wire_format.headers is not None:
        wire_format.headers(answer, header)
    framing = _framing(content_type)
    if framing == "json":
        return ArrayReader(wire_format, answer) if endpoint.streams else BodyReader(wire_format, answer)
    if framing == "unknown":
        return UnknownReader(functools.partial(_reader_of_first_bytes, endpoint), answer)
    reader_class = _STREAM_READERS.get(framing)
    return None if reader_class is None else reader_class(wire_format, answer)


Framing = Literal["json", "events", "lines", "aws", "unknown", "other"]
_STREAM_READERS: Mapping[Framing, type[EventReader]] = {
    "events": StreamReader,
    "lines": LineReader,
    "aws": AwsStreamReader,
}
_LINES = ("ndjson", "stream+json", "jsonl", "jsonlines", "json-seq")


@functools.lru_cache(maxsize=64)
def _framing(content_type: str) -> Framing:
    if content_type.startswith("text/event-stream"):
        return "events"
    if content_type.startswith("application/vnd.amazon.eventstream"):
        return "aws"
    if any(kind in content_type for kind in _LINES):
        return "lines"
    if "json" in content_type:
        return "json"
    return "unknown" if not content_type or content_type.startswith("text/plain") else "other"


def _reader_of_first_bytes(endpoint: Endpoint, answer: Answer, first: bytes) -> AnswerReader:
    if first.startswith(_STARTS_OF_EVENTS):
        return StreamReader(endpoint.format, answer)
    if first.startswith(b"\0"):  # of a length; no text begins with it
        return AwsStreamReader(endpoint.format, answer)
    if first.startswith(b"[") and endpoint.streams:
        return ArrayReader(endpoint.format, answer)
    return BodyReader(endpoint.format, answer)


_STARTS_OF_EVENTS = (b"data:", b"event:", b"id:", b"retry:", b": ", b":\n")


def read_answer(body: bytes, wire_format: WireFormat, answer: Answer) -> bool:
    """Put what a whole JSON body says, an object or a list of some, into `answer`; False if it is no JSON."""
    large = len(body) > SMALL_BODY_BYTES
    decoded: object = _around_array(body, wire_format.beside_array) if large else None
    if decoded is None:
        decoded = decode(body)
    if answer.text is not None:
        for text in generated_text(decoded, wire_format.text_keys):
            answer.text.add(escaped(text))
    if isinstance(decoded, dict):
        wire_format.absorb(answer, decoded)
    else:
        for _, entry in mappings(decoded):
            wire_format.absorb(answer, entry)
    return decoded is not None


def _around_array(body: bytes, beside: str) -> Mapping[str, object] | None:
    """Embeddings and images put one large array before a small `usage`: what surrounds the array is enough.

    What follows the body's last `]` is at its top level if, with an opening brace put before it, it is one
    JSON object: every bracket opened in it is then closed in it, and the body's own is the only one left.
    None where the whole has to be decoded; `beside` is the member that must not be lost.
    """
    if not beside:
        return _around_last_array(body, b"") if b'"choices"' not in body and b'"output"' not in body else None
    around = _around_last_array(body, b"} \r\n\t") or {}
    return around if beside in around or f'"{beside}"'.encode() not in body else None


def _around_last_array(body: bytes, closing: bytes) -> Mapping[str, object] | None:
    tail = decode_object(b"{" + (body[body.rfind(b"]") + 1 :].lstrip(closing).lstrip(b", \r\n\t") or b"}"))
    if tail is None or not (closing or "usage" in tail):
        return None
    return {**_decode_members(body[: body.find(b"[")]), **tail}


def _decode_members(head: bytes) -> Mapping[str, object]:
    """The complete members of an object whose text breaks off before a large value."""
    whole = head[: head.rfind(b",")] + b"}"
    return decode_object(whole) or {}
