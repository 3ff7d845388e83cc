"""An answer whose content type says nothing: its first bytes tell what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fanlight.capture.answer import Answer

if TYPE_CHECKING:
    from fanlight.capture.body import AnswerReader

_ENOUGH_BYTES = 6  # to tell `event:`, `data:` and the like


class UnknownReader:
    """Keeps the first bytes until they tell which reader it takes, then is that reader."""

    __slots__ = ("_choose", "_first", "_reader", "answer")

    def __init__(self, choose: Callable[[Answer, bytes], AnswerReader], answer: Answer) -> None:
        self.answer = answer  # of the reader too
        self._choose = choose  # given the answer and the first bytes
        self._first = b""
        self._reader: AnswerReader | None = None

    @property
    def content_events(self) -> int:
        return 0 if self._reader is None else self._reader.content_events

    @property
    def content_bytes(self) -> int:
        return 0 if self._reader is None else self._reader.content_bytes

    @property
    def done(self) -> bool:
        return self._reader is not None and self._reader.done

    @property
    def streamed(self) -> bool:
        return self._reader is not None and self._reader.streamed

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        if self._reader is not None:
            self._reader.feed(chunk)
            return
        first = self._first = (self._first + chunk).lstrip(b"\xef\xbb\xbf \t\r\n")
        if first[:1] in (b"{", b"[", b"\0") or len(first) >= _ENOUGH_BYTES:
            self._start()

    def finish(self) -> None:
        """Read what came."""
        if self._reader is None and self._first:
            self._start()
        if self._reader is not None:
            self._reader.finish()

    def _start(self) -> None:
        first, self._first = self._first, b""
        self._reader = self._choose(self.answer, first)
        self._reader.feed(first)
