"""Spans as OTLP protobuf, written by hand: one flat message needs no protobuf runtime in the app's process.

The official encoder costs 118 to 128 us a span, this one about a tenth. Field numbers are from
https://github.com/open-telemetry/opentelemetry-proto v1 (trace.proto, common.proto, resource.proto); the
tests decode the bytes with the official classes. `encode_span` gives one span as a field of its batch, so a
batch is the head and the spans joined.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from fanlight_schema.attributes import CONTENT

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from fanlight._app_spans import AppSpan
    from fanlight._spans import LiveSpan

Link: TypeAlias = "tuple[SpanContext, Mapping[str, object] | None]"

MAX_STRING_BYTES = 64 * 2**10  # ours: no attribute of the tracer's own comes near; a longer one is cut
CACHED_KEYS = 2_048  # keys are few; a program that makes them up gets no cache
CACHED_PAIRS = 4_096  # at most about 1 MB
CACHED_TEXT_CHARS = 64

_VARINTS = tuple(bytes((n,)) if n < 128 else bytes((n & 127 | 128, n >> 7)) for n in range(2**11))
_SMALL_INTS = tuple(b"\x12" + bytes((len(n) + 1,)) + b"\x18" + n for n in _VARINTS)  # field 2 of a KeyValue
_FIXED64 = struct.Struct("<Q").pack
_TIMES = struct.Struct("<BQBQ").pack
_FLAGS = struct.Struct("<HI").pack
_keys: dict[str, bytes] = {}
_pairs: dict[tuple[str, str], bytes] = {}
_names: dict[str, bytes] = {}


def _varint(value: int) -> bytes:
    if value < 2**11:
        return _VARINTS[value]
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(tag: bytes, body: bytes) -> bytes:
    return tag + _varint(len(body)) + body


def _utf8(text: object) -> bytes:
    data = str(text).encode("utf-8", "replace")
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


def _name(name: str) -> bytes:
    """Field 5 of a span, remembered: names are as few as keys."""
    encoded = _field(b"\x2a", _utf8(name))
    if len(_names) < CACHED_KEYS and len(name) <= CACHED_TEXT_CHARS:
        _names[name] = encoded
    return encoded


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
    pair = _pairs.get((key, value))
    if pair is None:
        body = (_keys.get(key) or _key(key)) + _field(b"\x12", _field(b"\x0a", _utf8(value)))
        pair = _varint(len(body)) + body
        if len(value) <= CACHED_TEXT_CHARS:
            if len(_pairs) >= CACHED_PAIRS:
                _pairs.clear()
            _pairs[key, value] = pair
    return pair


def encode_attributes(tag: bytes, attributes: Mapping[str, object]) -> bytes:
    """KeyValue fields under `tag`; values without an OTLP type are left out."""
    pairs = _pairs
    parts: list[bytes] = [b""]
    for key, value in attributes.items():
        if type(value) is str:
            pair = pairs.get((key, value)) or _text_pair(key, value)
        elif type(value) is int and 0 <= value < 2**11:
            head = _keys.get(key) or _key(key)
            number = _SMALL_INTS[value]
            pair = _varint(len(head) + len(number)) + head + number
        else:
            found = _key_value(key, value)
            if found is None:
                continue
            pair = found
        parts.append(pair)
    return tag.join(parts)


class ScopedSpan(bytes):
    """A span of another scope than fanlight's, with that scope: field 2 of ResourceSpans."""


class SpanWithContent(bytes):
    """A span that says what was said, and `bare`, the same without: what may lie on a disk."""

    bare: bytes


def encode_scoped_span(scope: str, version: str, span: AppSpan) -> ScopedSpan:
    """An ended span of the app with its instrumentation scope."""
    return ScopedSpan(_field(b"\x12", encode_scope(scope, version) + encode_span(span, span.links)))


def encode_resource(resource: Mapping[str, object]) -> bytes:
    """Field 1 of ResourceSpans."""
    return _field(b"\x0a", encode_attributes(b"\x0a", resource))


def encode_scope(scope: str, version: str) -> bytes:
    """Field 1 of ScopeSpans."""
    return _field(b"\x0a", _field(b"\x0a", _utf8(scope)) + _field(b"\x12", _utf8(version)))


def encode_own_span(span: LiveSpan) -> bytes:
    """A span of ours; with another encoding for the disk where it says what was said."""
    encoded = encode_span(span)
    if CONTENT.isdisjoint(span.attributes):
        return encoded
    with_content = SpanWithContent(encoded)
    with_content.bare = encode_span(span, without=CONTENT)
    return with_content


def encode_span(
    span: LiveSpan | AppSpan, links: Iterable[Link] = (), without: frozenset[str] = frozenset()
) -> bytes:
    """An ended span as field 2 of ScopeSpans."""
    attributes = span.attributes.copy()  # another thread may be setting one
    for name in without:
        attributes.pop(name, None)
    status = b""
    if span.status.value:
        message = _field(b"\x12", _utf8(span.status_message)) if span.status_message else b""
        status = _field(b"\x7a", message + b"\x18" + _VARINTS[span.status.value])
    return _encode(
        span,
        max(span.end_time_ns or 0, 0),
        attributes,
        b"".join(_field(b"\x5a", event) for event in map(_event, span.events))
        + b"".join(_field(b"\x6a", link) for link in map(_link, links))
        + status,
    )


def encode_open_span(span: LiveSpan, attributes: Mapping[str, object]) -> bytes:
    """The same for a span that has no end: it ends where it starts, with an error."""
    return _encode(span, span.start_time_ns, attributes, b"\x7a\x02\x18\x02")


def _encode(
    span: LiveSpan | AppSpan, end_time_ns: int, attributes: Mapping[str, object], below: bytes
) -> bytes:
    context, parent = span.span_context, span.parent
    flags = context.trace_flags | 0x100  # bit 8: we know whether the parent is remote (bit 9)
    parts = [
        b"\x0a\x10",
        context.trace_id.to_bytes(16, "big"),
        b"\x12\x08",
        context.span_id.to_bytes(8, "big"),
    ]
    if context.trace_state:
        parts.append(_field(b"\x1a", _utf8(context.trace_state.to_header())))
    if parent is not None:
        parts += (b"\x22\x08", parent.span_id.to_bytes(8, "big"))
        flags |= 0x200 if parent.is_remote else 0
    parts += (
        _names.get(span.name) or _name(span.name),
        b"\x30" + _VARINTS[span.kind.value + 1],
        _TIMES(0x39, span.start_time_ns, 0x41, end_time_ns),
        encode_attributes(b"\x4a", attributes),
        below,
        _FLAGS(0x0185, flags),
    )
    return _field(b"\x12", b"".join(parts))


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
