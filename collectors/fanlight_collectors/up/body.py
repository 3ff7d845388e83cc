"""Reads a request body piece by piece, inflating it, and stops at the limit instead of after it."""

import zlib
from collections.abc import AsyncIterator, Callable
from typing import Final

MAX_BODY_BYTES: Final = 20 * 2**20  # max_request_body_size of the OpenTelemetry Collector (confighttp)
# An answer that a client reads must wait until it has sent its body; this much of a refused one is read away.
MAX_DRAIN_BYTES: Final = 4 * MAX_BODY_BYTES

# zlib's window bits: 31 reads a gzip member, 15 a zlib stream, which is what HTTP calls deflate.
_GZIP_WBITS: Final = 31
_ZLIB_WBITS: Final = 15


class BodyTooLarge(Exception):
    """More bytes than allowed, on the wire or inflated."""


class UnsupportedEncoding(Exception):
    """A Content-Encoding that is not read here."""


class BadCompression(ValueError):
    """The body is not what its Content-Encoding says."""


class _Plain:
    def feed(self, piece: bytes, limit: int) -> bytes:
        return piece

    def finish(self) -> None:
        return None


class _Inflate:
    """One or more gzip members, or one zlib stream; never makes more than `limit` bytes of a piece."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._stream = zlib.decompressobj(wbits)
        self._began = False

    def feed(self, piece: bytes, limit: int) -> bytes:
        inflated = bytearray()
        try:
            while piece:
                self._restart_if_ended()
                self._began = True
                inflated += self._stream.decompress(piece, limit + 1 - len(inflated))
                if len(inflated) > limit:
                    raise BodyTooLarge
                piece = self._stream.unused_data or self._stream.unconsumed_tail
        except zlib.error as exc:
            raise BadCompression(str(exc)) from exc
        return bytes(inflated)

    def _restart_if_ended(self) -> None:
        if self._stream.eof:
            self._stream = zlib.decompressobj(self._wbits)

    def finish(self) -> None:
        if self._began and not self._stream.eof:
            raise BadCompression("the compressed body ends too early")


def _decoder(encoding: str) -> "_Plain | _Inflate":
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return _Plain()
    if name in ("gzip", "x-gzip"):
        return _Inflate(_GZIP_WBITS)
    if name == "deflate":
        return _Inflate(_ZLIB_WBITS)
    raise UnsupportedEncoding(name)


async def read_body(
    pieces: AsyncIterator[bytes],
    encoding: str,
    content_length: str | None,
    reserve: Callable[[int], None],
    limit: int = MAX_BODY_BYTES,
) -> bytes:
    """The inflated body; raises BodyTooLarge, UnsupportedEncoding or BadCompression.

    `reserve` is told how many bytes the body grows by, before it is kept, and may raise to refuse them.
    """
    if content_length is not None and content_length.isdigit() and int(content_length) > limit:
        raise BodyTooLarge
    decoder = _decoder(encoding)
    body, on_wire = bytearray(), 0
    async for piece in pieces:
        on_wire += len(piece)
        if on_wire > limit:
            raise BodyTooLarge
        inflated = decoder.feed(piece, limit - len(body))
        if len(body) + len(inflated) > limit:
            raise BodyTooLarge
        reserve(len(inflated))
        body += inflated
    decoder.finish()
    return bytes(body)


async def drain(pieces: AsyncIterator[bytes], limit: int = MAX_DRAIN_BYTES) -> None:
    """Reads a refused body away so that the client gets to read the answer."""
    async for piece in pieces:
        limit -= len(piece)
        if limit < 0:
            return
