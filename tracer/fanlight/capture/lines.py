"""A stream with one JSON object a line: Ollama, Cohere v1 (application/x-ndjson, application/stream+json)."""

from __future__ import annotations

from fanlight.capture.sse import StreamReader


class LineReader(StreamReader):
    """Reads one stream of lines."""

    __slots__ = ()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the stream, cut anywhere."""
        if chunk.find(b"\n") == len(chunk) - 1 and not self._partial:
            self._line(chunk)  # one whole line, as most servers send them
        else:
            super().feed(chunk)

    def _line(self, line: bytes) -> None:
        if len(line) > 1:
            self._event(line)
