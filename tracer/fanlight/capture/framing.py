"""Where the body of an HTTP/1.1 answer ends, and which of its bytes are body (RFC 9112, sections 6 and 7.1).

    framing = Chunked()
    framing.take(b"5\r\nhello\r\n0\r\n\r\n") == b"hello"
    framing.ended

Each takes the bytes behind the headers in order, cut anywhere, and gives those of the body.
"""

from __future__ import annotations


class Counted:
    """A body of a known length."""

    __slots__ = ("_left", "ended")
    ends_with_connection = False

    def __init__(self, length: int) -> None:
        self._left = length
        self.ended = length <= 0

    def take(self, data: bytes) -> bytes:
        """The body's part of the next bytes."""
        self._left -= len(data)
        self.ended = self._left <= 0
        return data


class UntilClosed:
    """A body that ends where the server closes the connection."""

    __slots__ = ()
    ends_with_connection = True
    ended = False

    def take(self, data: bytes) -> bytes:
        """The body's part of the next bytes."""
        return data


class Chunked:
    """A body in chunks, each behind its size in hexadecimal; the empty one is the last."""

    __slots__ = ("_broken", "_left", "_partial", "ended")
    ends_with_connection = False

    def __init__(self) -> None:
        self._left = 0  # of the chunk, with the line end behind it
        self._partial = b""  # of a line with a size
        self._broken = False
        self.ended = False

    def take(self, data: bytes) -> bytes:
        """The body's part of the next bytes."""
        left = (
            self._left
        )  # clients read a line with a size, a chunk or a part of it, and the line end behind it
        if left > 2 and len(data) <= left - 2:
            self._left = left - len(data)
            return data
        if left == 2 == len(data):
            self._left = 0
            return b""
        data, self._partial = self._partial + data, b""
        parts: list[bytes] = []
        at = 0
        while at < len(data) and not (self.ended or self._broken):
            if self._left:
                end = min(at + self._left, len(data))
                parts.append(data[at : min(end, at + max(self._left - 2, 0))])
                self._left -= end - at
                at = end
            else:
                at = self._size(data, at)
        return b"".join(parts)

    def _size(self, data: bytes, at: int) -> int:
        """Take the line with the size of the next chunk; where it ends."""
        end = data.find(b"\n", at)
        if end < 0:
            self._partial = data[at:]
            return len(data)
        try:
            size = int(data[at:end].partition(b";")[0], 16)
        except ValueError:  # the client will say so
            self._broken = True
            return len(data)
        self.ended = size == 0
        self._left = size + 2
        return end + 1


Framing = Counted | UntilClosed | Chunked


def framing_of(chunked: bool, length: int | None) -> Framing:
    """How a body is framed, by its answer's `Transfer-Encoding` and `Content-Length`."""
    if chunked:
        return Chunked()
    return UntilClosed() if length is None else Counted(length)
