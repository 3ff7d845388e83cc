"""A stream that is one JSON array, an element an event: Gemini without `?alt=sse`.

JSON objects one behind the other, in any layout, are read too. Where one ends is known from its brackets
alone, each byte being looked at once.
"""

from __future__ import annotations

import re

from fanlight.capture.answer import Answer
from fanlight.capture.events import MAX_EVENT_BYTES, EventReader
from fanlight.capture.wire_format import WireFormat

_MARK = re.compile(rb'["{}\[\]]')
_IN_STRING = re.compile(rb'(?:[^"\\]+|\\.)*', re.DOTALL)
_OPENING = b"{["
_QUOTE, _BACKSLASH = b'"\\'


class ArrayReader(EventReader):
    """Reads one array."""

    __slots__ = ("_array", "_begun", "_depth", "_escaped", "_in_string", "_parts", "_parts_bytes")

    def __init__(self, wire_format: WireFormat, answer: Answer | None = None) -> None:
        super().__init__(wire_format, answer)
        self._array = 0  # 1 within an array
        self._depth = 0  # of brackets open
        self._in_string = False
        self._escaped = False  # the chunk before ended with a backslash
        self._begun = False  # within an element
        self._parts: list[bytes] = []  # what came of it before this chunk
        self._parts_bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the stream, cut anywhere."""
        begin = at = 0
        while at < len(chunk):
            if self._in_string:
                at = self._pass_string(chunk, at)
                continue
            mark = _MARK.search(chunk, at)
            if mark is None:
                break
            at = mark.end()
            if mark[0] == b'"':
                self._in_string = True
            elif mark[0] in _OPENING:
                begin = self._open(mark[0], mark.start(), begin)
            elif self._close():
                self._element(chunk[begin:at])
        if self._begun:
            self._keep(chunk[begin:])

    def _pass_string(self, chunk: bytes, at: int) -> int:
        if self._escaped:
            self._escaped = False
            return at + 1
        inside = _IN_STRING.match(chunk, at)
        at = at if inside is None else inside.end()
        if at < len(chunk):
            self._in_string = chunk[at] != _QUOTE
            self._escaped = self._in_string
        return at + 1

    def _open(self, mark: bytes, at: int, begin: int) -> int:
        if self._depth == 0 and mark == b"[":
            self._array = 1
        elif self._depth == self._array and mark == b"{":
            self._begun = True
            begin = at
        self._depth += 1
        return begin

    def _close(self) -> bool:
        self._depth = max(self._depth - 1, 0)
        return self._begun and self._depth == self._array

    def _element(self, end: bytes) -> None:
        self._begun = False
        if self._parts_bytes <= MAX_EVENT_BYTES:
            self._event(b"".join((*self._parts, end)) if self._parts else end)
        self._parts.clear()
        self._parts_bytes = 0

    def _keep(self, part: bytes) -> None:
        self._parts_bytes += len(part)
        if self._parts_bytes > MAX_EVENT_BYTES:
            self._parts.clear()
        else:
            self._parts.append(part)
