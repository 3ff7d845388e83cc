"""A server-sent event stream, read as its bytes pass by.

    reader = StreamReader("chat")
    for chunk in wire:
        reader.feed(chunk)
    reader.answer.usage, reader.content_events, reader.done

Nearly every event of a model stream is a token of text. Such an event is counted from its bytes alone;
decoded are only the first event (id, model) and those that say something new: a finish reason, usage, an
error, the end. No byte is looked at twice, and no more than one unfinished event is kept.
"""

from __future__ import annotations

import json
import re

from fanlight.capture.answer import Answer
from fanlight.capture.endpoints import StreamShape

MAX_EVENT_BYTES = 8 * 2**20  # an unfinished event above this is dropped, and only it

# Keys whose non-empty string value is generated text, most frequent first.
CONTENT_KEYS: dict[StreamShape, tuple[bytes, ...]] = {
    "chat": (b'"content":', b'"reasoning_content":', b'"reasoning":', b'"arguments":', b'"refusal":'),
    "completions": (b'"text":',),
    "responses": (b'"delta":',),
}
_FINAL_EVENTS = frozenset(
    ("response.completed", "response.incomplete", "response.failed", "response.cancelled", "error")
)
_ESCAPED = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*')


class StreamReader:
    """Reads one stream. `feed` takes bytes in any cut and gives True while nothing but text has passed."""

    __slots__ = (
        "_dropped",
        "_first",
        "_hint",
        "_keys",
        "_partial",
        "_partial_bytes",
        "answer",
        "content_bytes",
        "content_events",
        "done",
        "events",
    )

    def __init__(self, shape: StreamShape) -> None:
        self.answer = Answer()
        self.events = 0
        self.content_events = 0
        self.content_bytes = 0
        self.done = False  # the stream's own end marker has passed
        self._keys = CONTENT_KEYS[shape]
        self._hint = self._keys[0]
        self._first = True
        self._partial: list[bytes] = []
        self._partial_bytes = 0
        self._dropped = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the stream, cut anywhere."""
        end = chunk.rfind(b"\n")
        if end < 0:
            self._keep(chunk)
            return
        if self._partial:
            self._partial.append(chunk[: end + 1])
            lines = b"".join(self._partial).split(b"\n")
            self._partial.clear()
            self._partial_bytes = 0
            if self._dropped:
                self._dropped = False
                del lines[0]
        else:
            lines = chunk.split(b"\n") if end == len(chunk) - 1 else chunk[:end].split(b"\n")
        if end < len(chunk) - 1:
            self._keep(chunk[end + 1 :])
        for line in lines:
            if line.startswith(b"data:"):
                self._event(line)

    def finish(self) -> None:
        """Take a last line that the server did not end."""
        if self._partial and not self._dropped:
            line = b"".join(self._partial)
            self._partial.clear()
            if line.startswith(b"data:"):
                self._event(line)

    def _keep(self, part: bytes) -> None:
        self._partial_bytes += len(part)
        if self._partial_bytes > MAX_EVENT_BYTES:
            self._dropped = True
            self._partial[:] = [b"-"]
            return
        self._partial.append(part)

    def _event(self, line: bytes) -> None:
        self.events += 1
        text_bytes = self._text_bytes(line)
        if text_bytes:
            self.content_events += 1
            self.content_bytes += text_bytes
            if not (self._first or _says(line, b'"usage"', 7) or _says(line, b'"finish_reason"', 15)):
                return
        self._decode(line[5:])

    def _text_bytes(self, line: bytes) -> int:
        """Length of the generated text in an event, as it stands in JSON; 0 if there is none."""
        found = _text_at(line, self._hint)
        if found:
            return found
        for key in self._keys:
            found = _text_at(line, key)
            if found:
                self._hint = key
                return found
        return 0

    def _decode(self, data: bytes) -> None:
        data = data.strip()
        if data == b"[DONE]":
            self.done = True
            return
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            return
        if not isinstance(event, dict):
            return
        self._first = False
        kind = event.get("type")
        if isinstance(kind, str) and kind in _FINAL_EVENTS:
            self.done = True
            if kind == "error" and "error" not in event:
                event = {"error": {"type": event.get("code") or "error"}}
        self.answer.absorb(event)


def _text_at(line: bytes, key: bytes) -> int:
    start = line.find(key)
    if start < 0:
        return 0
    start += len(key)
    if line.startswith(b'"', start):
        start += 1
    elif line.startswith(b' "', start):
        start += 2
    else:
        return 0
    end = line.find(b'"', start)
    if end > start and line[end - 1] == 0x5C:
        match = _ESCAPED.match(line, start)
        end = match.end() if match else end
    return max(end - start, 0)


def _says(line: bytes, key: bytes, length: int) -> bool:
    """True if the key is there with another value than null."""
    at = line.rfind(key)
    if at < 0:
        return False
    at += length
    return not (line.startswith(b":null", at) or line.startswith(b": null", at))
