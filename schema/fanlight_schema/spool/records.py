"""The records of a spool file: how they are framed, what the first one says, and where a torn one ends it.

A record is a kind, a length, a checksum over both and the payload, and the payload. It is appended by one
`write`, so a process that is killed leaves whole records, and one whose disk is full at most a torn last one.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO, Final
from urllib.parse import urlsplit

FORMAT_VERSION: Final = 1
MAX_RECORD_BYTES: Final = 64 * 2**20  # no writer makes such a record; a length above it is garbage
_FRAME: Final = struct.Struct("<BII")
_LENGTH: Final = struct.Struct("<I")
_crc32 = zlib.crc32


class Kind(IntEnum):
    """What a record is. Spans are OTLP protobuf as it stands in a request."""

    HEAD = 1  # where the spans go, and whose they are
    OPEN = 2  # what is told of an open span if it never ends: itself, then spans below it
    SPAN = 3  # an ended span: field 2 of ScopeSpans
    SCOPED_SPAN = 4  # an ended span of another scope, with that scope: field 2 of ResourceSpans
    FORGET = 5  # trace id and span id: this span was none, or somebody else delivers it
    MOVED = 6  # the spans that are open here go on in another file of the same process


class Unreadable(ValueError):
    """Not a spool file, or one of a format that is not known here."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where the spans of a file were to be sent, and the resource and scope that are theirs, encoded."""

    target: str
    resource: bytes  # field 1 of ResourceSpans
    scope: bytes  # field 1 of ScopeSpans


def frame(kind: int, payload: bytes) -> bytes:
    """One record, to be appended by one write."""
    size = len(payload)
    return _FRAME.pack(kind, size, _crc32(payload, kind ^ size)) + payload


def frame_head(head: Head) -> bytes:
    """The record that each file begins with."""
    parts = (head.target.encode("utf-8", "replace"), head.resource, head.scope)
    fields = b"".join(_LENGTH.pack(len(part)) + part for part in parts)
    return frame(Kind.HEAD, bytes((FORMAT_VERSION,)) + fields)


def read_head(file: BinaryIO) -> Head | None:
    """The head of a file; None if it is empty. Raises Unreadable."""
    record = _read_record(file)
    if record is None:
        if file.seek(0, 2) == 0:
            return None
        raise Unreadable("no whole record")
    kind, payload = record
    if kind != Kind.HEAD or not payload or payload[0] != FORMAT_VERSION:
        raise Unreadable(f"a record of kind {kind} where the head of format {FORMAT_VERSION} is expected")
    parts: list[bytes] = []
    at = 1
    while at < len(payload):
        (size,) = _LENGTH.unpack_from(payload, at)
        parts.append(payload[at + 4 : at + 4 + size])
        at += 4 + size
    return Head(parts[0].decode(), parts[1], parts[2])


def read_records(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The records that follow, up to the end or to the first that is torn."""
    while (record := _read_record(file)) is not None:
        yield record


def _read_record(file: BinaryIO) -> tuple[int, bytes] | None:
    head = file.read(_FRAME.size)
    if len(head) < _FRAME.size:
        return None
    kind, size, checksum = _FRAME.unpack(head)
    if size > MAX_RECORD_BYTES:
        return None
    payload = file.read(size)
    if len(payload) < size or _crc32(payload, kind ^ size) != checksum:
        return None
    return kind, payload


def target_of(url: str) -> str:
    """An endpoint as spool files name it: without user, password, query, and with one name for loopback."""
    parts = urlsplit(url if "//" in url else f"//{url}")
    host = "127.0.0.1" if parts.hostname == "localhost" else (parts.hostname or "")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme or 'http'}://{host}:{port}{parts.path.rstrip('/')}"
