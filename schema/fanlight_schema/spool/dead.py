"""What a dead process left, as OTLP requests: ended spans, and open ones as they were announced."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, TypeAlias

from fanlight_schema.spool.folder import lock_file, spool_files
from fanlight_schema.spool.records import Head, Kind, Unreadable, read_head, read_records

Told: TypeAlias = tuple[int, bytes]  # the kind of its record, and a span as it stands in a request


class DeadProcess:
    """A spool file whose lock is held here until the end of `with`."""

    def __init__(self, path: Path, file: BinaryIO, head: Head) -> None:
        self.path = path
        self.head = head
        self._file = file
        self._begin = file.tell()

    def __enter__(self) -> DeadProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._file.close()

    def requests(self, most_bytes: int) -> Iterator[tuple[bytes, int]]:
        """ExportTraceServiceRequests of at most about this size each, with the number of their spans."""
        for spans in self.batches(most_bytes):
            yield self.request(spans), len(spans)

    def batches(self, most_bytes: int) -> Iterator[list[Told]]:
        """All spans, as many at once as make a request of at most about this size."""
        spans: list[Told] = []
        size = 0
        for kind, span in self._spans():
            if spans and size + len(span) > most_bytes:
                yield spans
                spans, size = [], 0
            spans.append((kind, span))
            size += len(span)
        if spans:
            yield spans

    def request(self, spans: Sequence[Told]) -> bytes:
        """The ExportTraceServiceRequest of a batch, or of a part of one."""
        return _request(self.head, spans)

    def remove(self) -> None:
        """Delete the file: all of it was acknowledged."""
        self.path.unlink(missing_ok=True)

    def _spans(self) -> Iterator[Told]:
        still_open: dict[bytes, list[bytes]] = {}
        self._file.seek(self._begin)
        for kind, payload in read_records(self._file):
            if kind == Kind.OPEN:
                still_open[_identity(payload)[0]] = list(_split(payload))
            elif kind == Kind.SPAN:
                key, parent = _identity(payload)
                still_open.pop(key, None)
                del still_open.get(parent, [])[1:]  # it has begun to end: those below it are told for good
                yield Kind.SPAN, payload
            elif kind == Kind.SCOPED_SPAN:
                yield Kind.SCOPED_SPAN, payload
            elif kind == Kind.FORGET:
                still_open.pop(payload, None)
            elif kind == Kind.MOVED:
                still_open.clear()
        for told in still_open.values():
            for span in told:
                yield Kind.SPAN, span


def dead_processes(folder: Path, wanted: Callable[[str], bool]) -> Iterator[DeadProcess]:
    """What dead processes left in a folder for a target that is `wanted`, oldest first.

    Each is to be left (`with`) before the next is asked for. Files of living processes, of other users, of a
    format that is not known here, and what is no spool file at all stay as they are.
    """
    for path in _by_age(folder):
        descriptor = lock_file(path)
        if descriptor is None:
            continue
        file = os.fdopen(descriptor, "rb")
        head = _head_of(path, file)
        if head is not None and wanted(head.target):
            yield DeadProcess(path, file, head)
        file.close()


def _head_of(path: Path, file: BinaryIO) -> Head | None:
    try:
        head = read_head(file)
    except (Unreadable, OSError, ValueError, IndexError):
        return None
    if head is None:  # all of it was delivered
        path.unlink(missing_ok=True)
    return head


def _by_age(folder: Path) -> list[Path]:
    found: list[tuple[float, str]] = []
    for entry in spool_files(folder):
        try:
            found.append((entry.stat(follow_symlinks=False).st_mtime, entry.path))
        except OSError:  # delivered meanwhile
            continue
    return [Path(path) for _, path in sorted(found)]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(tag: bytes, body: bytes) -> bytes:
    return tag + _varint(len(body)) + body


def _request(head: Head, spans: Iterable[Told]) -> bytes:
    own = b"".join(span for kind, span in spans if kind == Kind.SPAN)
    others = b"".join(span for kind, span in spans if kind == Kind.SCOPED_SPAN)
    scope_spans = _field(b"\x12", head.scope + own) if own else b""
    return _field(b"\x0a", head.resource + scope_spans + others)


def _body_at(data: bytes, at: int) -> tuple[int, int]:
    """Where the length-delimited field at this place has its body, and where that ends."""
    size = shift = 0
    while True:
        at += 1
        byte = data[at]
        size |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return at + 1, at + 1 + size


def _split(spans: bytes) -> Iterator[bytes]:
    """Encoded spans one by one."""
    at = 0
    while at < len(spans):
        end = _body_at(spans, at)[1]
        yield spans[at:end]
        at = end


def _identity(span: bytes) -> tuple[bytes, bytes]:
    """The keys of an encoded span and of its parent: the tracer writes those fields first."""
    at, _ = _body_at(span, 0)
    trace_id, span_id = span[at + 2 : at + 18], span[at + 20 : at + 28]
    at += 28
    if span[at] == 0x1A:  # trace_state
        at = _body_at(span, at)[1]
    parent_id = span[at + 2 : at + 10] if span[at] == 0x22 else b""
    return trace_id + span_id, trace_id + parent_id
