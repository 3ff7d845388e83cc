"""OTLP/JSON bodies to rows: each span becomes the protobuf message that the other route parses.

The JSON form is protobuf's with three exceptions: ids are hex, enums are numbers (names are taken too),
unknown fields are ignored. Source: opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding".
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias, TypeVar, cast

from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from fanlight_collectors.otlp.batch import Reject, SpanBatch
from fanlight_collectors.otlp.decode import MalformedBody
from fanlight_collectors.otlp.spans import MAX_SHOWN_CHARS, RowBuilder

JsonObject: TypeAlias = Mapping[str, object]
_M = TypeVar("_M", bound=Message)

_UNREADABLE: Final = (json_format.ParseError, ValueError, RecursionError)


def decode_json(body: bytes, now_ns: int | None = None) -> SpanBatch:
    """The rows of an OTLP/JSON trace request; raises MalformedBody."""
    batch = SpanBatch()
    document = _load(body, batch)
    return _decode_into(batch, document, now_ns)


def decode_json_document(document: object, now_ns: int | None = None) -> SpanBatch:
    """The same for a request that is parsed already."""
    return _decode_into(SpanBatch(), document, now_ns)


def _load(body: bytes, batch: SpanBatch) -> object:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = body.decode("utf-8", "replace")
        batch.repairs["invalid_utf8"] += 1
    try:
        document = json.loads(text)
        if "\\u" in text:
            document = _without_lone_surrogates(document, batch)
    except RecursionError as exc:
        raise MalformedBody("the body is nested too deeply") from exc
    except ValueError as exc:
        raise MalformedBody(f"the body is not JSON: {exc}") from exc
    return document


def _decode_into(batch: SpanBatch, document: object, now_ns: int | None) -> SpanBatch:
    rows = RowBuilder(batch, now_ns)
    if not isinstance(document, dict):
        raise MalformedBody("an OTLP/JSON trace request is an object with resourceSpans")
    for resource_spans in _objects(document, "resourceSpans", "resource_spans"):
        _add_resource_spans(rows, batch, resource_spans)
    return batch


def _add_resource_spans(rows: RowBuilder, batch: SpanBatch, resource_spans: JsonObject) -> None:
    resource = _resource(batch, resource_spans.get("resource"))
    attributes = rows.attributes(resource.attributes)
    for scope_spans in _objects(resource_spans, "scopeSpans", "scope_spans"):
        scope = _scope(batch, scope_spans.get("scope"))
        spans = _spans(batch, attributes.get("service.name", ""), scope_spans)
        rows.add_spans(attributes, scope, spans)


def _spans(batch: SpanBatch, service: str, scope_spans: JsonObject) -> Iterable[Span]:
    for source in _objects(scope_spans, "spans"):
        try:
            yield _parse(_with_binary_ids(source), Span())
        except _UNREADABLE as exc:
            batch.rejects.append(_unreadable(source, service, exc))


def _unreadable(source: JsonObject, service: str, error: Exception) -> Reject:
    trace_id, name = str(_get(source, *_TRACE_ID) or ""), str(source.get("name") or "")
    shown = (text[:MAX_SHOWN_CHARS] for text in (service, name, trace_id))
    return Reject("malformed_span", _without_values(error), *shown)


def _without_values(error: Exception) -> str:
    """Which field could not be read; protobuf's message also quotes what was in it, which may be a prompt."""
    fields = re.findall(r"Failed to parse (\w+) field", str(error))
    if isinstance(error, json_format.ParseError):
        return f"{'.'.join(fields) or 'the span'} does not have the form that OTLP/JSON gives it"
    return str(error)[:MAX_SHOWN_CHARS]


def _resource(batch: SpanBatch, source: object) -> Resource:
    """A resource less the attributes that cannot be read; its spans are not lost for one of them."""
    if source is None:
        return Resource()
    if not isinstance(source, dict):
        raise MalformedBody("resource is not an object")
    resource = Resource()
    for pair in _objects(source, "attributes"):
        try:
            resource.attributes.append(_parse(pair, KeyValue()))
        except _UNREADABLE:
            batch.repairs["malformed_attribute"] += 1
    return resource


def _scope(batch: SpanBatch, source: object) -> InstrumentationScope:
    if source is None:
        return InstrumentationScope()
    if not isinstance(source, dict):
        raise MalformedBody("scope is not an object")
    try:
        return _parse(
            {key: source[key] for key in ("name", "version") if key in source}, InstrumentationScope()
        )
    except _UNREADABLE:
        batch.repairs["malformed_attribute"] += 1
        return InstrumentationScope()


def _parse(source: JsonObject, message: _M) -> _M:
    return json_format.ParseDict(dict(source), message, ignore_unknown_fields=True)


_TRACE_ID = ("traceId", "trace_id")
_SPAN_ID = ("spanId", "span_id")
_PARENT_ID = ("parentSpanId", "parent_span_id")


def _with_binary_ids(span: JsonObject) -> JsonObject:
    """The span with its hex ids in base64, which is how protobuf's JSON form has bytes."""
    changed = dict(span)
    for key in (*_TRACE_ID, *_SPAN_ID, *_PARENT_ID):
        if changed.get(key) is not None:
            changed[key] = _hex_to_base64(key, changed[key])
    links = changed.get("links")
    if isinstance(links, list):
        changed["links"] = [_with_binary_ids(link) if isinstance(link, dict) else link for link in links]
    return changed


def _hex_to_base64(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{key} is not a hex string")
    try:
        return base64.b64encode(binascii.unhexlify(value)).decode("ascii")
    except ValueError as exc:
        raise ValueError(f"{key} is not a hex string") from exc


def _get(source: JsonObject, *keys: str) -> object:
    return next((source[key] for key in keys if source.get(key) is not None), None)


def _objects(source: JsonObject, *keys: str) -> list[JsonObject]:
    found = _get(source, *keys)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise MalformedBody(f"{keys[0]} is not a list of objects")
    return found


def _without_lone_surrogates(value: object, batch: SpanBatch) -> object:
    """JSON can spell half of a surrogate pair, UTF-8 cannot: such text is repaired."""
    if isinstance(value, str):
        repaired = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if repaired != value:
            batch.repairs["invalid_utf8"] += 1
        return repaired
    if isinstance(value, list):
        return [_without_lone_surrogates(item, batch) for item in value]
    if isinstance(value, dict):
        return {
            cast(str, _without_lone_surrogates(key, batch)): _without_lone_surrogates(item, batch)
            for key, item in value.items()
        }
    return value
