"""How small answers of every wire format are written: the framings, and an example with what it says."""

import base64
import json
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

from fanlight.capture.answer import Answer, ServerTimings, Usage

SSE = "text/event-stream"
JSON = "application/json"
LINES = "application/x-ndjson"
AWS = "application/vnd.amazon.eventstream"
TEXTS = ("Hel", 'lo "you"\n', "é!")


@dataclass(frozen=True)
class Example:
    """An answer to a request to `path`. `texts` is the generated text by event of a stream."""

    name: str
    path: str
    body: bytes = field(repr=False)
    answer: Answer
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    ends: bool = False  # by a mark of its own


def dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def sse(*events: Any, end: bytes = b"") -> bytes:
    return b"".join(b"data: " + dump(event) + b"\n\n" for event in events) + end


def named_sse(*events: dict[str, Any]) -> bytes:
    """As Anthropic and Cohere write them, with the type in a line of its own."""
    return b"".join(
        b"event: " + event["type"].encode() + b"\ndata: " + dump(event) + b"\n\n" for event in events
    )


def lines(*events: Any) -> bytes:
    return b"".join(dump(event) + b"\n" for event in events)


def aws_message(payload: bytes, **headers: str) -> bytes:
    """One message of Amazon's event stream, with its two checksums."""
    head = b""
    for name, value in headers.items():
        key = b":" + name.replace("_", "-").encode()
        head += bytes([len(key)]) + key + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    prelude = struct.pack(">II", len(head) + len(payload) + 16, len(head))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return message + struct.pack(">I", zlib.crc32(message))


def aws_event(kind: str, event: Any) -> bytes:
    return aws_message(dump(event), event_type=kind, content_type=JSON, message_type="event")


def aws_chunk(event: Any) -> bytes:
    return aws_event("chunk", {"bytes": base64.b64encode(dump(event)).decode(), "p": "abc"})


def answer(
    model: str | None = None,
    identity: str | None = None,
    usage: Usage | None = None,
    *reasons: str,
    error: str | None = None,
    timings: ServerTimings | None = None,
) -> Answer:
    return Answer(identity, model, dict(enumerate(reasons)), usage, error, timings)
