"""The body of an aiohttp response, watched as it is read: same bytes, same moments, same exceptions."""

from __future__ import annotations

import functools
from typing import Any

from fanlight.patches._call import Request, clock_ns
from fanlight.patches._readings import Reading

# What others do to the reader while it is read, and what only asks: for the reader itself.
_PASSED_ON = (
    "at_eof",
    "begin_http_chunk_receiving",
    "end_http_chunk_receiving",
    "feed_data",
    "feed_eof",
    "is_eof",
    "on_eof",
    "set_read_chunk_size",
    "unread_data",
    "wait_eof",
)


@functools.cache
def reader_class(base: type[Any]) -> Any:
    """A subclass of aiohttp's StreamReader that stands for a reader; None for that of an empty body.

    The ways to read (lines, chunks, as much as is there) are inherited. What they need of the reader they
    find in the reader that this one stands for, and all of them take bytes with `_read_nowait_chunk` and wait
    with `_wait`.
    """
    if base.__name__ == "EmptyStreamReader":
        return None

    class WatchedReader(base):  # type: ignore[misc]  # known at run time only
        __slots__ = ("_reader", "_request", "_returned_ns")

        def __init__(self, reader: Any, request: Request | Reading) -> None:
            self._reader = reader
            self._request = request
            self._returned_ns = 0  # when the app had its latest bytes

        def __getattr__(self, name: str) -> Any:
            if name in ("_reader", "_request"):  # not set yet
                raise AttributeError(name)
            return getattr(self._reader, name)

        @property
        def _exception(self) -> BaseException | None:
            """What every way to read asks for first."""
            error: BaseException | None = self._reader._exception
            if error is not None:
                self._request.failed(error)
            elif self._returned_ns:
                self._request.waited_ns += clock_ns() - self._returned_ns
                self._returned_ns = 0
            return error

        def set_exception(self, *args: Any, **kwargs: Any) -> None:
            """The response is closed or released."""
            self._reader.set_exception(*args, **kwargs)
            self._request.finish("closed")

        async def _wait(self, func_name: str) -> None:
            try:
                await self._reader._wait(func_name)
            except BaseException as error:
                self._request.failed(error)
                raise
            self._end_seen()

        def _read_nowait(self, n: int) -> Any:
            try:
                return super()._read_nowait(n)
            except BaseException as error:  # the time for the whole request is over
                self._request.failed(error)
                raise

        def _read_nowait_chunk(self, n: int) -> Any:
            chunk = self._reader._read_nowait_chunk(n)
            self._returned_ns = now_ns = clock_ns()
            self._request.feed(chunk, now_ns)
            self._end_seen()
            return chunk

        def _end_seen(self) -> None:
            if self._reader.at_eof():
                self._request.finish("completed")

        def __del__(self) -> None:
            request = getattr(self, "_request", None)
            if request is not None and not request.ended:
                request.finish("abandoned")

    for name in _PASSED_ON:
        if hasattr(base, name):
            setattr(WatchedReader, name, _passed_on(getattr(base, name)))
    return WatchedReader


def _passed_on(original: Any) -> Any:
    name: str = original.__name__

    @functools.wraps(original)
    def passed_on(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._reader, name)(*args, **kwargs)

    return passed_on
