"""What is to be told of a model call if the process dies while one of its requests is on its way."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from fanlight._announce import PROCESS_DIED, announce, announce_told, as_died
from fanlight._otlp import SAID, encode_attributes, encode_open_span, encode_place, encode_span
from fanlight._runtime import runtime
from fanlight._spans import child_span
from fanlight.capture.outcome import TEXT_BYTES_PER_TOKEN
from fanlight.capture.request import text_bytes
from fanlight.patches._attributes import Attributes, call_attributes, request_attributes, spokesman_of
from fanlight_schema import attributes as names

if TYPE_CHECKING:
    from fanlight.patches._call import Call, Request

MAX_COUNTED_BYTES = 4_096  # of a body; counting its text takes 1 us per KB (measured) of the app's time


_UNDER_WAY = encode_attributes(
    SAID, {names.REQUESTS: 1, names.REQUEST_OUTCOME: "unknown", names.ERROR_TYPE: PROCESS_DIED}
)


def announce_call(call: Call, sent: bytes | None) -> None:
    """A request of this call is about to leave, with this body."""
    span, sink = call.span, runtime.sink
    if sink is None or not sink.spools or span.ended or span.inert:
        return
    requests = call.requests
    tokens = None
    if sent is not None and len(sent) <= MAX_COUNTED_BYTES:
        tokens = round(text_bytes(sent) / TEXT_BYTES_PER_TOKEN)  # of a request that nobody answers
    if len(requests) == 1 and not span.own and span.cascade is not None:
        under_way = _UNDER_WAY if tokens is None else _under_way(tokens)
        said = span.template.encoded + encode_place(span.cascade) + under_way
        announce_told(sink, span, encode_open_span(span, said))
        return
    estimate = {} if tokens is None else _estimate(tokens)
    below = b""
    if len(requests) > 1:
        below = b"".join(_told(call, request, number, estimate) for number, request in enumerate(requests))
        call.speaks(spokesman_of(requests))
    announce(span, {**call_attributes(requests), **estimate}, below)


def _told(call: Call, request: Request, resend_count: int, estimate: Attributes) -> bytes:
    """One of several requests: as it ended, or as one whose answer nobody saw."""
    span = child_span(
        call.span,
        f"POST {request.path}",
        "request",
        request_attributes(call.asked, request, resend_count),
        call.wall_ns(request.started_ns),
    )
    if not request.ended:
        return as_died(span, estimate)
    if request.error_type is not None:
        span.error(request.error_type)
    span.end_time_ns = call.wall_ns(request.ended_ns)
    return encode_span(span)


def _estimate(tokens: int) -> Attributes:
    return {names.INPUT_TOKENS: tokens, names.USAGE_SOURCE: "estimated"}


@lru_cache(maxsize=MAX_COUNTED_BYTES)  # as many as there can be, and more
def _under_way(tokens: int) -> bytes:
    return _UNDER_WAY + encode_attributes(SAID, _estimate(tokens))
