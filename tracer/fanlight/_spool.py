"""What this process would lose if it died now, on disk: one append-only file, locked while the process lives.

A span that is open on its way to a model is announced as it is to be told if it never ends; an ended one is
added before the call returns to the app. Once the exporter has delivered all, the file is emptied, or written
anew where something is still open, so in steady state it holds next to nothing. A machine that crashes may
lose the last seconds: nothing here waits for the disk.

Every method is called under the lock of the exporter's queue, so file and queue say the same.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from fanlight._guard import logger
from fanlight._otlp import ScopedSpan, SpanWithContent
from fanlight_schema.sizes import size_text
from fanlight_schema.spool import Kind, folder_bytes, frame, new_file, ready_folder

REWRITE_FROM_BYTES: Final = 2**20  # a file of this size is written anew where most of it was delivered
CAUGHT_UP_BYTES: Final = 2**18  # of queued spans; above it the exporter is behind, and emptying has to wait
REOPEN_AFTER_S: Final = 30.0  # a folder that could not be written to is not tried for every span
_OPEN, _SPAN = int(Kind.OPEN), int(Kind.SPAN)


class Spool:
    """The file of this process, made when there is something to write."""

    def __init__(self, folder: Path, limit_bytes: int, head: Callable[[], bytes]) -> None:
        self.folder = folder
        self._limit = limit_bytes  # of the whole folder
        self._head = head
        self.refused = 0  # records that found no place
        self._reset()

    def _reset(self) -> None:
        self._descriptor: int | None = None
        self._path = self.folder
        self._size = 0
        self._room = 0
        self._reopen_at = 0.0  # monotonic
        self._measure_at = 0.0  # monotonic
        self._open: dict[int, bytes] = {}  # by span id, as records
        self._open_bytes = 0
        self.left = 0  # ended spans that are in the file and not in the queue

    def announce(self, span_id: int, told: bytes) -> None:
        """Hold what is told of an open span if it never ends, instead of what was held of it before."""
        record = frame(_OPEN, told)
        if span_id in self._open:
            self._forget(span_id)
        if self._write(record):
            self._open[span_id] = record
            self._open_bytes += len(record)

    def forget(self, span_id: int, key: bytes) -> None:
        """An announced span is none, or somebody else delivers it."""
        if self._forget(span_id):
            self._write(frame(Kind.FORGET, key))

    def add(self, span: bytes, span_id: int) -> bool:
        """Hold an ended span; False if there is no place."""
        announced = self._open.pop(span_id, None)
        if announced is not None:
            self._open_bytes -= len(announced)
        return self._write(frame(_SPAN, span) if type(span) is bytes else _framed(span))

    def tidy(self, queued: Collection[bytes], queued_bytes: int) -> bool:
        """The exporter has delivered something, and this is left; True if the file has all of that now."""
        if self._descriptor is None or queued_bytes > CAUGHT_UP_BYTES:
            return False
        if not queued and not self._open and not self.left:
            if self._size:
                with suppress(OSError):
                    os.ftruncate(self._descriptor, 0)
                    self._size = 0
        elif self.left or (self._size > REWRITE_FROM_BYTES and self._open_bytes < self._size // 4):
            # Over the limit by what is open and queued, which is little: only so is a full folder emptied.
            return self._rewrite(queued, limited=False)
        return False

    def keep(self, queued: Collection[bytes]) -> bool:
        """Have all of these in the file, those that found no place before included."""
        return not self.refused or self._rewrite(queued)

    def measure_again(self) -> None:
        """Somebody's file has gone: there may be room where there was none."""
        self._measure_at = 0.0

    def close(self, undelivered: int, *, ending: bool) -> None:
        """The end: of the process, which ends what is open with it, or of tracing alone."""
        if self._descriptor is None:
            return
        if not undelivered and not self.left and not (self._open and ending):
            _delete(self._path)
        elif self._open and not ending:
            self._write(frame(Kind.MOVED, b""))
        os.close(self._descriptor)
        self._reset()

    def after_fork(self) -> None:
        """In a forked child: the file and its lock are the parent's."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self.refused = 0
        self._reset()

    def _forget(self, span_id: int) -> bool:
        record = self._open.pop(span_id, None)
        if record is None:
            return False
        self._open_bytes -= len(record)
        return True

    def _write(self, record: bytes, *, limited: bool = True) -> bool:
        if self._descriptor is None and not self._make_file():
            self.refused += 1
            return False
        descriptor = self._descriptor
        assert descriptor is not None
        if not self._size:
            record = self._head() + record
        size = len(record)
        try:
            if limited and self._size + size > self._room and not self._finds_room(size):
                raise OSError(f"it holds {size_text(self._limit)}, which is FANLIGHT_SPOOL_LIMIT_BYTES")
            if os.write(descriptor, record) != size:
                os.ftruncate(descriptor, self._size)  # a torn record would hide those after it
                raise OSError("the disk is full")
        except OSError as error:
            self._refuse(error)
            return False
        self._size += size
        return True

    def _finds_room(self, size: int) -> bool:
        """Whether others have left the folder since it was measured; asked now and then."""
        now = time.monotonic()
        if now < self._measure_at:
            return False
        self._measure_at = now + REOPEN_AFTER_S
        self._room = self._limit - folder_bytes(self.folder) + self._size
        return self._size + size <= self._room

    def _make_file(self) -> bool:
        now = time.monotonic()
        if now < self._reopen_at:
            return False
        try:
            ready_folder(self.folder)
            # A rewrite frees the old file, unless that has to stay.
            self._room = self._limit - folder_bytes(self.folder) + (0 if self.left else self._size)
            self._measure_at = now + REOPEN_AFTER_S
            self._descriptor, self._path = new_file(self.folder)
        except OSError as error:
            self._reopen_at = now + REOPEN_AFTER_S
            self._refuse(error, count=0)
            return False
        self._size = 0
        return True

    def _refuse(self, error: OSError, count: int = 1) -> None:
        if not self.refused:
            logger.warning(
                "spans cannot be written to the spool %s (%s): what is not delivered when the process is "
                "killed is lost. FANLIGHT_SPOOL_DIR names another folder, FANLIGHT_SPOOL=false uses none",
                self.folder,
                error,
            )
        self.refused += count

    def _rewrite(self, queued: Collection[bytes], *, limited: bool = True) -> bool:
        """Go on in a new file with what is open and queued; the old one is left to others, or deleted."""
        before = self._descriptor, self._path, self._size, self._room
        self._descriptor = None
        own = (span for span in queued if type(span) is not ScopedSpan)  # others' may hold prompts
        records = b"".join((*self._open.values(), *map(_framed, own)))
        if not self._write(records, limited=limited):
            self._abandon_file()
            self._descriptor, self._path, self._size, self._room = before
            return False
        old, old_path = before[:2]
        if old is not None:
            if self.left:
                with suppress(OSError):
                    os.write(old, frame(Kind.MOVED, b""))
            else:
                _delete(old_path)
            os.close(old)
        self.left = 0
        return True

    def _abandon_file(self) -> None:
        if self._descriptor is not None:
            _delete(self._path)
            os.close(self._descriptor)


def _delete(path: Path) -> None:
    with suppress(OSError):  # a folder that nobody may write to any more
        path.unlink()


def _framed(span: bytes) -> bytes:
    if type(span) is SpanWithContent:
        span = span.bare
    return frame(Kind.SCOPED_SPAN if type(span) is ScopedSpan else Kind.SPAN, span)
