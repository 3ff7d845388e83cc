"""The events of a model's stream, whatever frames them: counted from their bytes, decoded if they say news.

Nearly every event of a model stream is a token of text. Such an event is counted from its bytes alone;
decoded are only the first event (id, model) and those that say something new: a finish reason, usage, an
error, the end. Where every event repeats the usage so far, the last one is decoded at the end.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from functools import cache

from fanlight.capture.answer import Answer
from fanlight.capture.wire_format import WireFormat

MAX_EVENT_BYTES = 8 * 2**20  # an unfinished event above this is dropped, and only it

MAX_SHAPES = 16  # tried on one stream; one whose events are all unlike is read without

NO_SHAPE = (b"\xff", b"", b"")  # no event in UTF-8 begins so
_NOTHING = (b":null", b": null", b":false", b": false")
_UNTIL_QUOTE = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*')


class EventReader(ABC):
    """Counts and reads events; a subclass takes the stream apart. Counts are right after every `feed`, the
    answer after `finish`."""

    streamed = True
    __slots__ = (
        "_format",
        "_known",
        "_latest",
        "_latest_event",
        "_news",
        "_shape",
        "_shapes_left",
        "_start",
        "_starts",
        "_uncounted",
        "answer",
        "content_bytes",
        "content_events",
        "done",
    )

    def __init__(self, wire_format: WireFormat, answer: Answer | None = None) -> None:
        self.answer = Answer() if answer is None else answer
        self.content_events = 0  # events with generated text
        self.content_bytes = 0  # of that text, as it stands in JSON
        self.done = False  # the stream's own end marker has passed
        self._format = wire_format
        self._starts, self._news, self._latest, self._uncounted = _marks(wire_format)
        self._start = self._starts[0]  # what stood before the text in the latest event that had some
        self._latest_event = b""
        self._known = False  # an event was decoded, so that the id and the model are known
        self._shape = NO_SHAPE
        self._shapes_left = MAX_SHAPES

    @abstractmethod
    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the stream, cut anywhere."""

    def finish(self) -> None:
        """Take what is left: an event that the server did not end, and the latest of those that repeat."""
        if self._latest_event:
            self._decode(self._latest_event)
            self._latest_event = b""

    def _event(self, event: bytes, begin: int = 0) -> None:
        """Take one event; its JSON text begins at `begin`."""
        before, behind, closing = self._shape
        if event.startswith(before):
            at = len(before)
            end = event.find(b'"', at)
            if end > at and event[end - 1] != 0x5C and event.startswith(behind, end):
                rest = end + len(behind)
                if closing:
                    plain = event.endswith(closing) and event.find(b'"', rest) == len(event) - len(closing)
                else:
                    plain = rest == len(event)
                if plain:
                    self.content_events += 1
                    self.content_bytes += end - at
                    if self.answer.text is not None:
                        self.answer.text.add(event[at:end])
                    return
        if self._uncounted and _has_one(event, self._uncounted):
            self._news_came(event, begin)
            return
        end = self._count_text(event, self._start) or self._find_text(event)
        if end and self._known:
            for key in self._news:
                at = event.find(key)
                if at >= 0 and not event.startswith(_NOTHING, at + len(key)):
                    break
            else:
                if self._latest and self._latest in event and _says(event, self._latest):
                    self._latest_event = event[begin:]
                    return
                if self._shapes_left and not event.startswith(before):
                    self._shapes_left -= 1
                    self._shape = _shape_of(event, event.find(self._start) + len(self._start), end)
                return
        self._news_came(event, begin)

    def _news_came(self, event: bytes, begin: int) -> None:
        if self._latest_event:
            if not _says(event, self._latest):
                self._decode(self._latest_event)
            self._latest_event = b""
        self._decode(event[begin:])

    def _find_text(self, event: bytes) -> int:
        """Count the text of an event unlike the one before; where it ends, or 0."""
        for start in self._starts:
            end = self._count_text(event, start)
            if end:
                self._start = start
                self._shape = NO_SHAPE
                return end
        return 0

    def _count_text(self, event: bytes, start: bytes) -> int:
        """Count the JSON string behind `start`; where it ends, or 0 if it is empty or not there."""
        at = event.find(start)
        if at < 0:
            return 0
        at += len(start)
        end = event.find(b'"', at)
        if end <= at:
            return 0
        if event[end - 1] == 0x5C:  # an escaped quote, or a backslash at the end
            match = _UNTIL_QUOTE.match(event, at)
            end = end if match is None else match.end()
        self.content_events += 1
        self.content_bytes += end - at
        if self.answer.text is not None:
            self.answer.text.add(event[at:end])
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
        if isinstance(event, dict):
            self._known = True
            if self._format.absorb(self.answer, event):
                self.done = True


Shape = tuple[bytes, bytes, bytes]


def _shape_of(event: bytes, text_at: int, text_end: int) -> Shape:
    """What stands before the text of an event that says nothing new, what behind it, and, where a string is
    the last in the event (OpenAI's `obfuscation`), what behind that: another event of this shape says nothing
    new either, since neither text nor string has a quote, and so no key, in it."""
    behind = event[text_end:]
    begin = behind.rfind(b':"') + 2
    quote = behind.find(b'"', begin)
    if begin < 2 or quote < 0 or quote != behind.rfind(b'"'):
        return event[:text_at], behind, b""
    return event[:text_at], behind[:begin], behind[quote:]


def _says(event: bytes, key: bytes) -> bool:
    """Whether an event has a value for a key, in quotes; its text may be the same word."""
    at = event.find(key)
    while at >= 0:
        behind = at + len(key)
        if event.startswith((b":", b" :"), behind) and not event.startswith(_NOTHING, behind):
            return True
        at = event.find(key, behind)
    return False


def _has_one(event: bytes, marks: tuple[bytes, ...]) -> bool:
    return any(mark in event for mark in marks)


Marks = tuple[tuple[bytes, ...], tuple[bytes, ...], bytes, tuple[bytes, ...]]


@cache
def _marks(wire_format: WireFormat) -> Marks:
    """The bytes to look for. A quote within text is escaped, so that no text looks like a key."""
    starts = tuple(f'"{key}":{space}"'.encode() for key in wire_format.text_keys for space in ("", " "))
    news = tuple(f'"{key}"'.encode() for key in wire_format.news_keys)
    latest = f'"{wire_format.latest_key}"'.encode() if wire_format.latest_key else b""
    return starts or (b'"text":"',), news, latest, tuple(mark.encode() for mark in wire_format.uncounted)
