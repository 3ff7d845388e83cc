"""Announcing open spans to the spool: what is to be told of them if this process dies before they end.

Only what is on its way to a model is announced, and with it the steps above: work that nobody was asked for
needs no record of its start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry.trace.propagation import _SPAN_KEY
from opentelemetry.util.types import AttributeValue

from fanlight._otlp import encode_open_span, encode_said, without_content
from fanlight._runtime import Sink, runtime
from fanlight._spans import LiveSpan
from fanlight_schema import attributes as names

PROCESS_DIED: Final = "process_died"
NOTHING_MORE: Final[Mapping[str, AttributeValue]] = {}


def announce(span: LiveSpan, known: Mapping[str, AttributeValue] = NOTHING_MORE, below: bytes = b"") -> None:
    """Announce an open span, with what more is `known` and with spans `below` it, and the steps above it.

    Announcing it again replaces what was said of it.
    """
    sink = runtime.sink
    if sink is None or span.inert or span.ended:
        return
    announce_told(sink, span, as_died(span, known) + below)


def announce_told(sink: Sink, span: LiveSpan, told: bytes) -> None:
    """The same for an open span that is encoded already."""
    above = span.parent_context.get(_SPAN_KEY)  # trace.get_current_span takes five times as long
    if type(above) is LiveSpan and not above.announced and above.generation == runtime.fork_generation:
        announce(above)
    span.announced = True
    sink.announce(span, told)


def as_died(span: LiveSpan, known: Mapping[str, AttributeValue] = NOTHING_MORE) -> bytes:
    """A span as it is told of a process that died: an error, and no invented end."""
    own = without_content(span, {**span.own, **known, names.ERROR_TYPE: PROCESS_DIED})
    return encode_open_span(span, encode_said(span, own))


def forget(span: LiveSpan) -> None:
    """This span will not come."""
    if span.announced and runtime.sink is not None:
        runtime.sink.forget(span)
