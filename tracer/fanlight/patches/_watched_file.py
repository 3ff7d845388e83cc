"""The file over a socket from which http.client reads an answer, watched: same bytes, same exceptions.

All that reads HTTP with the standard library reads this file, through whatever layers: urllib.request,
urllib3, requests and botocore alike. What passes here is the body in its framing, as it is on the wire.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fanlight._guard import guarded
from fanlight.capture.framing import Framing
from fanlight.patches._call import Request, clock_ns
from fanlight.patches._readings import Reading


class WatchedFile:
    """In place of `HTTPResponse.fp`, for one answer."""

    __slots__ = ("_file", "_framing", "_request", "_returned_ns")

    def __init__(self, file: Any, request: Request | Reading, framing: Framing) -> None:
        self._file = file
        self._request = request
        self._framing = framing
        self._returned_ns = 0  # when the reader had its latest bytes

    def __getattr__(self, name: str) -> Any:
        if name == "_file":  # not set yet
            raise AttributeError(name)
        return getattr(self._file, name)

    def read(self, *size: Any) -> Any:
        """As much as was asked for: fewer bytes mean that the connection has ended."""
        data = self._call(self._file.read, size)
        if data is not None and not self._request.ended:
            wanted = size[0] if size and size[0] is not None else -1
            self._took(data, len(data) < wanted or wanted < 0)
        return data

    def read1(self, *size: Any) -> Any:
        data = self._call(self._file.read1, size)
        if data is not None and not self._request.ended:
            self._took(data, data == b"" and size[:1] != (0,))
        return data

    def readline(self, *limit: Any) -> Any:
        data = self._call(self._file.readline, limit)
        if data is not None and not self._request.ended:
            self._took(data, data == b"" and limit[:1] != (0,))
        return data

    def readinto(self, buffer: Any) -> Any:
        count = self._call(self._file.readinto, (buffer,))
        if count is not None and not self._request.ended:
            view = memoryview(buffer).cast("B")
            self._took(bytes(view[:count]), count < len(view))
        return count

    def peek(self, *size: Any) -> Any:
        """What comes next stays to be read; but a reader may wait here, and meet an error."""
        return self._call(self._file.peek, size)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def close(self) -> None:
        try:
            self._file.close()
        finally:
            self._request.finish("closed")

    def __del__(self) -> None:
        if not self._request.ended:
            self._request.finish("abandoned")

    def _call(self, method: Any, args: tuple[Any, ...]) -> Any:
        if self._returned_ns:
            self._request.waited_ns += clock_ns() - self._returned_ns
            self._returned_ns = 0
        try:
            return method(*args)
        except BaseException as error:
            self._request.failed(error)
            raise

    @guarded
    def _took(self, data: bytes, at_end: bool) -> None:
        request, framing = self._request, self._framing
        self._returned_ns = now_ns = clock_ns()
        body = framing.take(data)
        if body:
            request.feed(body, now_ns)
        if framing.ended or (at_end and framing.ends_with_connection):
            request.finish("completed")
        elif at_end:
            request.failed(_broken_off())


def _broken_off() -> BaseException:
    """What http.client raises. It is not imported before the app has: its import switches the tracer on."""
    from http.client import IncompleteRead

    return IncompleteRead(b"")
