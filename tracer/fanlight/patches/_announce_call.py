"""What is to be told of a model call if the process dies while one of its requests is on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fanlight._announce import announce, announcing, as_died
from fanlight._guard import guarded
from fanlight._otlp import encode_span
from fanlight._spans import child_span, stamp_action
from fanlight.capture.outcome import TEXT_BYTES_PER_TOKEN
from fanlight.capture.request import text_bytes
from fanlight.patches._attributes import Attributes, call_attributes, request_attributes
from fanlight_schema import attributes as names

if TYPE_CHECKING:
    from fanlight.patches._call import Call, Request

MAX_COUNTED_BYTES = 4_096  # of a body; counting its text takes 1 us per KB (measured) of the app's time


@guarded
def announce_call(call: Call, sent: bytes | None) -> None:
    """A request of this call is about to leave, with this body."""
    if not announcing() or call.span.ended:
        return
    requests = call.requests
    estimate = _estimate(sent)
    known = {**call_attributes(call.asked, requests), **estimate}
    below = b""
    if len(requests) > 1:
        below = b"".join(_told(call, request, number, estimate) for number, request in enumerate(requests))
    announce(call.span, known, below)


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
    stamp_action(span, span.attributes)
    return encode_span(span)


def _estimate(sent: bytes | None) -> Attributes:
    """The input tokens of a request that nobody answers; nothing where they would take too long to count."""
    if sent is None or len(sent) > MAX_COUNTED_BYTES:
        return {}
    tokens = round(text_bytes(sent) / TEXT_BYTES_PER_TOKEN)
    return {names.INPUT_TOKENS: tokens, names.USAGE_SOURCE: "estimated"}
