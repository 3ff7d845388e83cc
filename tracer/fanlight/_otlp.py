"""Spans as OTLP protobuf, written by hand: one flat message needs no protobuf runtime in the app's process.

The official encoder costs 118 to 128 us a span, this one about a tenth. Field numbers are from
https://github.com/open-telemetry/opentelemetry-proto v1 (trace.proto, common.proto, resource.proto); the
tests decode the bytes with the official classes. `encode_span` gives one span as a field of its batch, so a
batch is the head and the spans joined.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from opentelemetry.trace import StatusCode

from fanlight_schema import attributes as names
from fanlight_schema.attributes import CONTENT

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext, SpanKind, TraceState

    from fanlight._app_spans import AppSpan
    from fanlight._cascade import Cascade
    from fanlight._spans import LiveSpan

Link: TypeAlias = "tuple[SpanContext, Mapping[str, object] | None]"

MAX_STRING_BYTES = 64 * 2**10  # ours: no attribute of the tracer's own comes near; a longer one is cut
CACHED_KEYS = 2_048  # keys are few; a program that makes them up gets no cache
CACHED_PAIRS = 4_096  # at most about 1 MB
CACHED_TEXT_BYTES = 64
MAX_CACHED_HOP = 64
SAID = b"\x4a"  # the tag of a span's attributes

_SMALL = 2**11  # of two bytes at most as a varint
_VARINTS = tuple(bytes((n,)) if n < 128 else bytes((n & 127 | 128, n >> 7)) for n in range(_SMALL))
_SMALL_INTS = tuple(b"\x12" + bytes((len(n) + 1,)) + b"\x18" + n for n in _VARINTS)  # field 2 of a KeyValue
_FLAT_BYTES = _SMALL - 16  # a text and its key that are no longer have lengths below _SMALL all around
_FIXED64 = struct.Struct("<Q").pack
_DOUBLE = struct.Struct("<BBBd").pack
_TIMES = struct.Struct("<BQBQ").pack
_FLAGS = struct.Struct("<HI").pack
_UNSET = StatusCode.UNSET
_FAILED = b"\x7a\x02\x18\x02"  # field 15 of a span: a status of STATUS_CODE_ERROR
_UNIQUE = frozenset((names.RESPONSE_ID,))  # another value on each span: not worth a place in the cache
_keys: dict[str, bytes] = {}
_pairs: dict[tuple[str, str], bytes] = {}
_texts: dict[tuple[str, tuple[str, ...]], bytes] = {}


def _varint(value: int) -> bytes:
    if value < _SMALL:
        return _VARINTS[value]
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(tag: bytes, body: bytes) -> bytes:
    return tag + _varint(len(body)) + body


def _large_int(value: int) -> bytes:
    digits = _varint(value)
    return b"\x12" + bytes((len(digits) + 1,)) + b"\x18" + digits


def _utf8(text: object) -> bytes:
    # `str` of an Enum that is a string too is no longer what it is equal to, and cached with.
    written = text if isinstance(text, str) else str(text)
    data = written.encode("utf-8", "replace")
    if len(data) > MAX_STRING_BYTES:
        data = data[:MAX_STRING_BYTES].decode("utf-8", "ignore").encode()
    return data


def _key(key: str) -> bytes:
    encoded = _keys.get(key)
    if encoded is None:
        encoded = _field(b"\x0a", _utf8(key))
        if len(_keys) < CACHED_KEYS:
            _keys[key] = encoded
    return encoded


def encode_name(name: str) -> bytes:
    """Field 5 of a span."""
    return _field(b"\x2a", _utf8(name))


def encode_kind(kind: SpanKind) -> bytes:
    """Field 6 of a span."""
    return b"\x30" + _VARINTS[kind.value + 1]


def _any_value(value: object) -> bytes | None:
    """An AnyValue, or None for what OpenTelemetry has no type for."""
    if isinstance(value, str):
        return _field(b"\x0a", _utf8(value))
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + _varint(value & (2**64 - 1)) if -(2**63) <= value < 2**63 else None
    if isinstance(value, float):
        return struct.pack("<Bd", 0x21, value)
    if isinstance(value, bytes):
        return _field(b"\x3a", value[:MAX_STRING_BYTES])
    if isinstance(value, list | tuple):
        items = (_any_value(item) for item in value)
        return _field(b"\x2a", b"".join(_field(b"\x0a", item) for item in items if item is not None))
    return None


def _key_value(key: str, value: object) -> bytes | None:
    """A KeyValue with its length before it, or None for a value without an OTLP type."""
    any_value = _any_value(value)
    if any_value is None:
        return None
    body = (_keys.get(key) or _key(key)) + _field(b"\x12", any_value)
    return _varint(len(body)) + body


def _text_pair(key: str, value: str) -> bytes:
    """The same for text, remembered: most of a span's text is the same on the next span."""
    head = _keys.get(key) or _key(key)
    data = value.encode("utf-8", "replace")
    size = len(data)
    if size + len(head) < _FLAT_BYTES:
        length = _VARINTS[size]
        inner = 1 + len(length) + size
        around = _VARINTS[inner]
        pair = b"".join(
            (_VARINTS[len(head) + 1 + len(around) + inner], head, b"\x12", around, b"\x0a", length, data)
        )
    else:
        body = head + _field(b"\x12", _field(b"\x0a", _utf8(value)))
        pair = _varint(len(body)) + body
    if size <= CACHED_TEXT_BYTES and key not in _UNIQUE:
        if len(_pairs) >= CACHED_PAIRS:
            _pairs.clear()
        _pairs[key, value] = pair
    return pair


def _texts_pair(key: str, values: tuple[str, ...]) -> bytes | None:
    """The same for a tuple of texts."""
    pair = _key_value(key, values)
    if pair is not None and len(pair) <= CACHED_TEXT_BYTES:
        if len(_texts) >= CACHED_PAIRS:
            _texts.clear()
        _texts[key, values] = pair
    return pair


def encode_attributes(tag: bytes, attributes: Mapping[str, Any]) -> bytes:
    """KeyValue fields under `tag`; values without an OTLP type are left out."""
    parts: list[bytes] = [b""]
    for key, value in attributes.items():
        kind = type(value)
        pair: bytes | None
        if kind is str:
            pair = _pairs.get((key, value)) or _text_pair(key, value)
        elif kind is int and 0 <= value < 2**63:
            head = _keys.get(key) or _key(key)
            number = _SMALL_INTS[value] if value < _SMALL else _large_int(value)
            size = len(head) + len(number)
            pair = (_VARINTS[size] if size < _SMALL else _varint(size)) + head + number
        elif kind is float:
            head = _keys.get(key) or _key(key)
            size = len(head) + 11
            pair = (_VARINTS[size] if size < _SMALL else _varint(size)) + head + _DOUBLE(0x12, 9, 0x21, value)
        elif kind is tuple and len(value) == 1 and type(value[0]) is str:
            pair = _texts.get((key, value)) or _texts_pair(key, value)
        else:
            pair = _key_value(key, value)
        if pair is not None:
            parts.append(pair)
    return tag.join(parts)


class ScopedSpan(bytes):
    """A span of another scope than fanlight's, with that scope: field 2 of ResourceSpans."""


class SpanWithContent(bytes):
    """A span that says what was said, or may say it, and `bare`, the same without: what may lie on a disk."""

    bare: bytes


def encode_scoped_span(scope: str, version: str, span: AppSpan) -> ScopedSpan:
    """An ended span of the app with its instrumentation scope."""
    return ScopedSpan(_field(b"\x12", encode_scope(scope, version) + encode_app_span(span)))


def encode_resource(resource: Mapping[str, object]) -> bytes:
    """Field 1 of ResourceSpans."""
    return _field(b"\x0a", encode_attributes(b"\x0a", resource))


def encode_scope(scope: str, version: str) -> bytes:
    """Field 1 of ScopeSpans."""
    return _field(b"\x0a", _field(b"\x0a", _utf8(scope)) + _field(b"\x12", _utf8(version)))


def encode_place(place: Cascade) -> bytes:
    """What every span says of its action, as fields of a span; encoded anew where the action has changed."""
    action = place.action
    said = (
        action.id,
        action.name,
        action.user,
        action.session,
        action.origin,
        action.source,
        action.workload,
        action.dropped,
    )
    encoded = action.encoded
    if encoded is None or encoded[0] != said:
        action.encoded = encoded = said, encode_attributes(SAID, action.attributes())
    hop = place.hop
    return encoded[1] + (_HOPS[hop] if hop < MAX_CACHED_HOP else _encode_hop(hop))


def _encode_hop(hop: int) -> bytes:
    return encode_attributes(SAID, {names.HOP: hop})


_HOPS = tuple(map(_encode_hop, range(MAX_CACHED_HOP)))


def encode_own_span(span: LiveSpan) -> bytes:
    """A span of ours that has ended, as field 2 of ScopeSpans; with another encoding for the disk where there
    may be content in it: what was said, an error's message, and whatever others have put there."""
    own, place, alike = span.own.copy(), span.cascade, span.alike  # another thread may be setting one
    bare = not (span.events or span.status_message or span.foreign or span.renamed)
    bare = bare and CONTENT.isdisjoint(own)
    if bare and alike is not None and place is not None and not span.mixed and span.status is _UNSET:
        template = span.template  # as `encode_span`, in one step: this is how nearly every call ends
        body = b"".join(
            (
                span.identity or _identity_of(span),
                template.head,
                _TIMES(0x39, span.start_time_ns, 0x41, span.end_time_ns or 0),
                template.encoded,
                encode_place(place),
                alike.encoded,
                encode_attributes(SAID, own),
            )
        )
        size = len(body)
        return b"\x12" + (_VARINTS[size] if size < _SMALL else _varint(size)) + body
    encoded = encode_span(span)
    if bare:
        return encoded
    with_content = SpanWithContent(encoded)
    said = encode_said(span, without_content(span, span.own))
    with_content.bare = _own_span(
        span, max(span.end_time_ns or 0, 0), said, _status(span, None), on_disk=True
    )
    return with_content


def without_content(span: LiveSpan, own: Mapping[str, object]) -> Mapping[str, object]:
    """Of attributes of a span, those that may lie on a disk."""
    if not span.foreign and CONTENT.isdisjoint(own):
        return own
    return {name: own[name] for name in own.keys() - CONTENT - span.foreign}


def encode_span(span: LiveSpan) -> bytes:
    """An ended span of ours as field 2 of ScopeSpans."""
    own = span.own.copy()  # another thread may be setting one
    below = b"" if not span.events and span.status is _UNSET else _below(span)
    return _own_span(span, max(span.end_time_ns or 0, 0), encode_said(span, own), below)


def encode_said(span: LiveSpan, own: Mapping[str, object]) -> bytes:
    """All attributes of a span as fields of it, of which these are its own."""
    place, alike = span.cascade, span.alike
    if place is not None and not span.mixed:
        said = span.template.encoded + encode_place(place) + encode_attributes(SAID, own)
        return said if alike is None else alike.encoded + said
    above = {} if place is None else place.attributes()
    shared = {} if alike is None else alike.attributes
    return encode_attributes(SAID, {**span.template.attributes, **shared, **own, **above})


def encode_open_span(span: LiveSpan, said: bytes) -> bytes:
    """A span that has no end: it ends where it starts, with an error. `said` are its attributes."""
    return _own_span(span, span.start_time_ns, said, _FAILED, on_disk=True)


def _own_span(span: LiveSpan, end_time_ns: int, said: bytes, below: bytes, *, on_disk: bool = False) -> bytes:
    template = span.template
    ours = span.name == template.name or (on_disk and span.renamed)
    body = b"".join(
        (
            span.identity or _identity_of(span),
            template.head if ours else encode_name(span.name) + encode_kind(span.kind),
            _TIMES(0x39, span.start_time_ns, 0x41, end_time_ns),
            said,
            below,
        )
    )
    size = len(body)
    return b"\x12" + (_VARINTS[size] if size < _SMALL else _varint(size)) + body


def _identity_of(span: LiveSpan) -> bytes:
    """The same where a span is announced and where it ends, so it is kept."""
    span.identity = _identity(
        span.trace_id,
        span.span_id,
        span.trace_flags,
        span.trace_state,
        span.parent_id,
        span.parent_is_remote,
    )
    return span.identity


def _identity(
    trace_id: int,
    span_id: int,
    trace_flags: int,
    trace_state: TraceState | None,
    parent_id: int,
    parent_is_remote: bool,
) -> bytes:
    """Who a span is, and below whom: what readers of the spool look for at its beginning."""
    return b"".join(
        (
            b"\x0a\x10",
            trace_id.to_bytes(16, "big"),
            b"\x12\x08",
            span_id.to_bytes(8, "big"),
            _field(b"\x1a", _utf8(trace_state.to_header())) if trace_state else b"",
            b'"\x08' + parent_id.to_bytes(8, "big") if parent_id else b"",
            # Bit 8: we know whether the parent is remote, which is bit 9.
            _FLAGS(0x0185, trace_flags | (0x300 if parent_is_remote else 0x100)),
        )
    )


def _below(span: LiveSpan | AppSpan) -> bytes:
    """Events and status."""
    events = b"".join(_field(b"\x5a", event) for event in map(_event, span.events))
    return events + _status(span, span.status_message)


def _status(span: LiveSpan | AppSpan, message: str | None) -> bytes:
    if span.status is _UNSET:
        return b""
    said = _field(b"\x12", _utf8(message)) if message else b""
    return _field(b"\x7a", said + b"\x18" + _VARINTS[span.status.value])


def encode_app_span(span: AppSpan) -> bytes:
    """An ended span of the app as field 2 of ScopeSpans."""
    context, parent = span.span_context, span.parent
    identity = _identity(
        context.trace_id,
        context.span_id,
        context.trace_flags,
        context.trace_state,
        0 if parent is None else parent.span_id,
        parent is not None and parent.is_remote,
    )
    body = (
        identity,
        encode_name(span.name) + encode_kind(span.kind),
        _TIMES(0x39, span.start_time_ns, 0x41, max(span.end_time_ns or 0, 0)),
        encode_attributes(SAID, span.attributes),
        *(_field(b"\x6a", link) for link in map(_link, span.links)),
        _below(span),
    )
    return _field(b"\x12", b"".join(body))


def _event(event: tuple[str, Mapping[str, object] | None, int]) -> bytes:
    name, attributes, time_ns = event
    return (
        b"\x09"
        + _FIXED64(time_ns)
        + _field(b"\x12", _utf8(name))
        + encode_attributes(b"\x1a", attributes or {})
    )


def _link(link: Link) -> bytes:
    context, attributes = link
    return (
        b"\x0a\x10"
        + context.trace_id.to_bytes(16, "big")
        + b"\x12\x08"
        + context.span_id.to_bytes(8, "big")
        + encode_attributes(b"\x22", attributes or {})
    )


def encode_request(resource: Mapping[str, object], scope: str, version: str, spans: Iterable[bytes]) -> bytes:
    """An ExportTraceServiceRequest of spans that `encode_span` and `encode_scoped_span` gave."""
    own: list[bytes] = []
    others: list[bytes] = []
    for span in spans:
        (others if type(span) is ScopedSpan else own).append(span)
    if own:
        others.insert(0, _field(b"\x12", encode_scope(scope, version) + b"".join(own)))
    return _field(b"\x0a", encode_resource(resource) + b"".join(others))


def rejected_spans(response: bytes) -> int:
    """How many spans an ExportTraceServiceResponse says were rejected; 0 if none, or if it cannot be read."""
    if len(response) < 4 or response[0] != 0x0A or response[2] != 0x08:
        return 0
    count = shift = 0
    for byte in response[3:13]:
        count |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return count
    return 0
