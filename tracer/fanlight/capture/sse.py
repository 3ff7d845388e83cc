"""A stream of lines, read as its bytes pass by: server-sent events, or one JSON object a line.

    reader = StreamReader(openai.CHAT)
    for chunk in wire:
        reader.feed(chunk)
    reader.finish()
    reader.answer.usage, reader.content_events, reader.done

No byte is looked at twice, and no more than one unfinished line is kept.
"""

from __future__ import annotations

from fanlight.capture.answer import Answer
from fanlight.capture.events import MAX_EVENT_BYTES, EventReader
from fanlight.capture.wire_format import WireFormat


class StreamReader(EventReader):
    """Reads one event stream."""

    __slots__ = ("_dropped", "_held", "_held_bytes", "_partial", "_partial_bytes")

    def __init__(self, wire_format: WireFormat, answer: Answer | None = None) -> None:
        super().__init__(wire_format, answer)
        self._partial: list[bytes] = []
        self._partial_bytes = 0
        self._dropped = False
        self._held: list[bytes] = []  # parts of an event whose JSON goes over several lines
        self._held_bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the stream, cut anywhere."""
        alone = chunk.find(b"\n") == len(chunk) - 2 and chunk.startswith(b"data:")
        if alone and chunk[-1] == 0x0A and not (self._partial or self._held):
            self._event(chunk[:-2], 5)  # one whole event, as most servers send them; of one shape with others
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
        if self._held:
            self._release()
        super().finish()

    def _lines(self, whole: bytes) -> None:
        """Read text that ends where a line ends, together with what was kept of its first line."""
        dropped, self._dropped = self._dropped, False
        if self._partial:
            whole = b"".join((*self._partial, whole))
            self._partial.clear()
            self._partial_bytes = 0
        lines = whole.split(b"\n")
        for line in lines[1:] if dropped else lines:
            if line.startswith(b"data:") and line[-1] == 0x7D and not self._held:  # nearly all that have one
                self._event(line, 5)
            elif line:  # every second one is empty
                self._line(line)
            elif self._held:
                self._release()

    def _line(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            if self._held or line[-1] != 0x7D:  # `}`
                self._odd_line(line.rstrip())
            else:
                self._event(line, 5)
        elif line[0] == 0x7B:  # `{`: an object without its frame, mostly an error
            self._event(line)
        elif self._held and line == b"\r":
            self._release()

    def _odd_line(self, line: bytes) -> None:
        """The end mark, or one of several lines of an event: what they say together is read at their end."""
        part = line[5:].lstrip()
        if not self._held and (line.endswith(b"}") or part[:1] != b"{"):
            self._event(line, 5)
            return
        self._held.append(part)
        self._held_bytes += len(part)
        if self._held_bytes > MAX_EVENT_BYTES:
            self._release()

    def _release(self) -> None:
        event = b"\n".join(self._held)
        self._held.clear()
        self._held_bytes = 0
        self._event(event)

    def _keep(self, part: bytes) -> None:
        self._partial_bytes += len(part)
        if self._partial_bytes > MAX_EVENT_BYTES:
            self._dropped = True
            self._partial[:] = [b"-"]
        else:
            self._partial.append(part)
