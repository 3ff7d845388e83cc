"""An answer whose content type says nothing: its first bytes tell what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fanlight.capture.answer import Answer

if TYPE_CHECKING:
    from fanlight.capture.body import AnswerReader

_STARTS_OF_EVENTS = (b"data:", b"event:", b"id:", b"retry:", b": ", b":\n")
_ENOUGH_BYTES = 6  # to tell one of them


class UnknownReader:
    """Keeps the first bytes until they tell which reader it takes, then is that reader."""

    __slots__ = ("_choose", "_first", "_nothing", "_reader")

    def __init__(self, choose: Callable[[bool, bool], AnswerReader]) -> None:
        self._choose = choose  # given (is it an event stream, is it a JSON array)
        self._first = b""
        self._reader: AnswerReader | None = None
        self._nothing = Answer()

    @property
    def answer(self) -> Answer:
        return self._nothing if self._reader is None else self._reader.answer

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
        if first[:1] in (b"{", b"[") or len(first) >= _ENOUGH_BYTES:
            self._start()

    def finish(self) -> None:
        """Read what came."""
        if self._reader is None and self._first:
            self._start()
        if self._reader is not None:
            self._reader.finish()

    def _start(self) -> None:
        first, self._first = self._first, b""
        self._reader = self._choose(first.startswith(_STARTS_OF_EVENTS), first.startswith(b"["))
        self._reader.feed(first)
