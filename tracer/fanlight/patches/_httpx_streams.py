"""A response body that is watched as it passes: same chunks, same moments, same exceptions."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from fanlight.capture.outcome import End
from fanlight.patches._call import Request, clock_ns
from fanlight.patches._readings import Reading


@dataclass(frozen=True, slots=True)
class StreamClasses:
    """The watched streams of one httpx-like module."""

    # Subclasses of the module's own stream classes, which are not known to the type checker.
    sync: Any
    asynchronous: Any


class _Over:
    """Stands for a request that has ended: httpx leaves its responses in a circle, which must not hold it."""

    ended = True
    waited_ns = 0

    def feed(self, chunk: bytes, came_ns: int) -> None:
        """Whoever reads a body again gets nothing, or what httpx has kept."""

    def finish(self, end: End) -> None: ...

    def failed(self, error: BaseException) -> None: ...


_OVER = _Over()


@functools.cache
def stream_classes(module: ModuleType) -> StreamClasses:
    """Watched streams that `module` takes for its own."""

    # The base classes are known at run time only, hence the ignores.
    class _Watched:
        def __init__(self, stream: Any, request: Request | Reading) -> None:
            self._stream = stream
            self._request: Request | Reading | _Over = request

        def __getattr__(self, name: str) -> Any:
            if name == "_stream":  # not set yet
                raise AttributeError(name)
            return getattr(self._stream, name)

        def _finish(self, end: End) -> None:
            request, self._request = self._request, _OVER
            request.finish(end)

        def _failed(self, error: BaseException) -> None:
            request, self._request = self._request, _OVER
            request.failed(error)

        def __del__(self) -> None:
            request = self.__dict__.get("_request")
            if request is not None and not request.ended:
                request.finish("abandoned")

    class WatchedStream(_Watched, module.SyncByteStream):  # type: ignore[misc, name-defined]
        def __iter__(self) -> Iterator[bytes]:
            request = self._request
            try:
                for chunk in self._stream:
                    came_ns = clock_ns()
                    request.feed(chunk, came_ns)
                    yield chunk
                    request.waited_ns += clock_ns() - came_ns
            except GeneratorExit:
                self._finish("closed")
                raise
            except BaseException as error:
                self._failed(error)
                raise
            self._finish("completed")

        def close(self) -> None:
            try:
                self._stream.close()
            finally:
                self._finish("closed")

    class WatchedAsyncStream(_Watched, module.AsyncByteStream):  # type: ignore[misc, name-defined]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            request = self._request
            chunks = self._stream.__aiter__()
            try:
                async for chunk in chunks:
                    came_ns = clock_ns()
                    request.feed(chunk, came_ns)
                    yield chunk
                    request.waited_ns += clock_ns() - came_ns
            except GeneratorExit:
                self._finish("closed")
                raise
            except BaseException as error:
                self._failed(error)
                raise
            finally:
                if isinstance(chunks, AsyncGenerator):
                    await chunks.aclose()
            self._finish("completed")

        async def aclose(self) -> None:
            try:
                await self._stream.aclose()
            finally:
                self._finish("closed")

    return StreamClasses(WatchedStream, WatchedAsyncStream)
