"""A stream that is one JSON array, an element an event: Gemini without `?alt=sse`.

JSON objects one behind the other, in any layout, are read too. Where one ends is known from its brackets
alone, each byte being looked at once.
"""

from __future__ import annotations

import re

from fanlight.capture.answer import Answer
from fanlight.capture.events import MAX_EVENT_BYTES, EventReader
from fanlight.capture.wire_format import WireFormat

# A whole string, or a bracket, or the beginning of a string that goes on in the next chunk.
_MARK = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["{}\[\]]', re.DOTALL)
_REST_OF_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)


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
        begin = 0
        for mark in _MARK.finditer(chunk, self._pass_string(chunk)):
            byte = chunk[mark.start()]
            if byte == 0x7B or byte == 0x5B:  # { [
                if self._depth == self._array and byte == 0x7B:
                    self._begun = True
                    begin = mark.start()
                elif self._depth == 0:
                    self._array = 1
                self._depth += 1
            elif byte != 0x22:
                self._depth = max(self._depth - 1, 0)
                if self._begun and self._depth == self._array:
                    self._element(chunk[begin : mark.end()])
            elif mark.end() - mark.start() == 1:
                self._break_string(chunk, mark.end())
                break
        if self._begun:
            self._keep(chunk[begin:])

    def _pass_string(self, chunk: bytes) -> int:
        """Where the string ends that the chunk before began."""
        if not self._in_string or not chunk:
            return 0
        rest = _REST_OF_STRING.match(chunk, 1 if self._escaped else 0)
        end = 0 if rest is None else rest.end()
        if chunk[end : end + 1] != b'"':
            self._break_string(chunk, 1 if self._escaped else 0)
            return len(chunk)
        self._in_string = self._escaped = False
        return end + 1

    def _break_string(self, chunk: bytes, begin: int) -> None:
        """The chunk ends within a string, of which it has what is behind `begin`."""
        self._in_string = True
        inside = chunk[begin:]
        self._escaped = (len(inside) - len(inside.rstrip(b"\\"))) % 2 == 1

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
