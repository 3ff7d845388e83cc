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
_CONTENT_KEYS: dict[StreamShape, tuple[str, ...]] = {
    "chat": ("content", "reasoning_content", "reasoning", "arguments", "refusal"),
    "completions": ("text",),
    "responses": ("delta",),
}
# The same as bytes up to the opening quote of the value, in the two spellings of JSON writers.
_CONTENT_STARTS: dict[StreamShape, tuple[bytes, ...]] = {
    shape: tuple(f'"{key}":{space}"'.encode() for key in keys for space in ("", " "))
    for shape, keys in _CONTENT_KEYS.items()
}
_NULL = (b":null", b": null")
_FINAL_EVENTS = frozenset(
    ("response.completed", "response.incomplete", "response.failed", "response.cancelled", "error")
)
_UNTIL_QUOTE = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*')


class StreamReader:
    """Reads one stream; `answer` and the counts are right after every `feed`."""

    __slots__ = (
        "_dropped",
        "_partial",
        "_partial_bytes",
        "_start",
        "_starts",
        "answer",
        "content_bytes",
        "content_events",
        "done",
    )

    def __init__(self, shape: StreamShape) -> None:
        self.answer = Answer()
        self.content_events = 0  # events with generated text
        self.content_bytes = 0  # of that text, as it stands in JSON
        self.done = False  # the stream's own end marker has passed
        self._starts = _CONTENT_STARTS[shape]
        self._start = self._starts[0]  # what stood before the text in the latest event that had some
        self._partial: list[bytes] = []
        self._partial_bytes = 0
        self._dropped = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the stream, cut anywhere."""
        if chunk.find(b"\n") == len(chunk) - 2 and chunk[-1] == 0x0A and not self._partial:
            if chunk.startswith(b"data:"):  # one whole event, as most servers send them
                self._event(chunk)
            return
        head, newline, tail = chunk.rpartition(b"\n")
        if newline:
            self._lines(head)
        if tail:
            self._keep(tail)

    def finish(self) -> None:
        """Take a last line that the server did not end."""
        if self._partial:
            self._lines(b"")

    def _lines(self, whole: bytes) -> None:
        """Read text that ends where a line ends, together with what was kept of its first line."""
        dropped, self._dropped = self._dropped, False
        if self._partial:
            whole = b"".join((*self._partial, whole))
            self._partial.clear()
            self._partial_bytes = 0
        lines = whole.split(b"\n")
        for line in lines[1:] if dropped else lines:
            if line.startswith(b"data:"):
                self._event(line)

    def _keep(self, part: bytes) -> None:
        self._partial_bytes += len(part)
        if self._partial_bytes > MAX_EVENT_BYTES:
            self._dropped = True
            self._partial[:] = [b"-"]
        else:
            self._partial.append(part)

    def _event(self, line: bytes) -> None:
        end = self._count_text(line, self._start) or self._find_text(line)
        if end:
            usage = line.find(b'"usage"', end)
            if usage < 0 or line.startswith(_NULL, usage + 7):
                reason = line.find(b'"finish_reason"', end)
                if (reason < 0 or line.startswith(_NULL, reason + 15)) and self.answer.id is not None:
                    return
        self._decode(line[5:])

    def _find_text(self, line: bytes) -> int:
        """Count the text of an event unlike the one before; where it ends, or 0."""
        for start in self._starts:
            end = self._count_text(line, start)
            if end:
                self._start = start
                return end
        return 0

    def _count_text(self, line: bytes, start: bytes) -> int:
        """Count the JSON string behind `start`; where it ends, or 0 if it is empty or not there."""
        at = line.find(start)
        if at < 0:
            return 0
        at += len(start)
        end = line.find(b'"', at)
        if end <= at:
            return 0
        if line[end - 1] == 0x5C:  # an escaped quote, or a backslash at the end
            match = _UNTIL_QUOTE.match(line, at)
            end = end if match is None else match.end()
        self.content_events += 1
        self.content_bytes += end - at
        return end

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
        kind = event.get("type")
        if isinstance(kind, str) and kind in _FINAL_EVENTS:
            self.done = True
            if kind == "error" and "error" not in event:
                event = {"error": {"type": event.get("code") or "error"}}
        self.answer.absorb(event)
