"""Background responses: a call that was answered before its model had worked.

Its span ends with the answer to its POST. A later look at the response (`GET /responses/ID`, whole or as a
stream) that brings the tokens has the same span delivered once more, now with them: the store knows a span by
its identity, and takes the fuller state. A look from another process finds no span to complete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fanlight._spans import LiveSpan
from fanlight.capture.body import AnswerReader, reader_for
from fanlight.capture.endpoints import endpoint_of
from fanlight.capture.wire_format import Header
from fanlight.patches._attributes import answer_attributes
from fanlight.patches._readings import Recent

if TYPE_CHECKING:
    from fanlight.patches._call import Call

MAX_AWAITED = 1_000  # calls of this process whose tokens may still come

AWAITED = endpoint_of("POST", "/v1/responses")
_awaited: Recent[LiveSpan] = Recent(MAX_AWAITED)


def expect(call: Call) -> None:
    """Know an ended call to `AWAITED` by its response id, if its tokens may still come."""
    if not call.requests:
        return
    reader = call.requests[-1].reader
    if reader is not None and reader.answer.id is not None and reader.answer.usage is None:
        _awaited.put(reader.answer.id, call.span)


forget_all = _awaited.clear


def look_at(path: str) -> Look | None:
    """A look at a response that this path asks for; None if nobody waits for it."""
    head, _, response_id = path.rstrip("/").rpartition("/")
    span = _awaited.get(response_id) if head.endswith("/responses") else None
    return None if span is None else Look(response_id, span)


class Look:
    """Takes an answer that says how a response is."""

    def __init__(self, response_id: str, span: LiveSpan) -> None:
        self._response_id = response_id
        self._span = span
        self._reader: AnswerReader | None = None

    def begin(self, content_type: str, header: Header) -> None:
        assert AWAITED is not None
        self._reader = reader_for(AWAITED, content_type)

    def feed(self, data: bytes) -> None:
        if self._reader is not None:
            self._reader.feed(data)

    def finish(self) -> None:
        reader = self._reader
        if reader is None:
            return
        reader.finish()
        if reader.answer.usage is not None and self._response_id in _awaited:
            _awaited.forget(self._response_id)
            self._span.complete(answer_attributes(reader.answer))
