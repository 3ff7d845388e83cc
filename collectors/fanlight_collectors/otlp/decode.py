"""OTLP protobuf bodies to rows, with non-UTF-8 text repaired instead of refused.

protobuf refuses a whole message for one bad byte in a string field. Such a body is parsed again with the same
schema in which every string is declared as bytes (the wire format is the same), its text is repaired, and it
goes the normal way.
"""

from functools import cache
from typing import Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from fanlight_collectors.otlp.batch import SpanBatch
from fanlight_collectors.otlp.spans import RowBuilder

_SCHEMA_FILES: Final = (common_pb2, resource_pb2, trace_pb2, trace_service_pb2)


class MalformedBody(ValueError):
    """The body is no OTLP trace request; the message says where it stops being one."""


def decode_protobuf(body: bytes, now_ns: int | None = None) -> SpanBatch:
    """The rows of a serialized ExportTraceServiceRequest; raises MalformedBody."""
    batch = SpanBatch()
    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError:
        repaired, fields = _repair_utf8(body)
        batch.repairs["invalid_utf8"] += fields
        request = ExportTraceServiceRequest.FromString(repaired)
    RowBuilder(batch, now_ns).add_request(request)
    return batch


def _repair_utf8(body: bytes) -> tuple[bytes, int]:
    """The body with every invalid byte of its text replaced by U+FFFD, and the number of texts changed."""
    lenient = _lenient_request_class()()
    try:
        lenient.ParseFromString(body)
    except DecodeError as exc:
        raise MalformedBody(f"the body is not a protobuf ExportTraceServiceRequest: {exc}") from exc
    changed = _repair_message(lenient)
    return lenient.SerializeToString(), changed


def _repair_message(message: Message) -> int:
    changed = 0
    for field, value in message.ListFields():
        if field.message_type:
            children = (value,) if isinstance(value, Message) else value
            changed += sum(map(_repair_message, children))
        elif field.name in _text_fields(message.DESCRIPTOR.full_name):
            repaired = value.decode("utf-8", "replace").encode()
            if repaired != value:
                setattr(message, field.name, repaired)
                changed += 1
    return changed


@cache
def _text_fields(message_name: str) -> frozenset[str]:
    strict = descriptor_pool.Default().FindMessageTypeByName(message_name)
    return frozenset(field.name for field in strict.fields if field.type == field.TYPE_STRING)


@cache
def _lenient_request_class() -> type[Message]:
    pool = descriptor_pool.DescriptorPool()
    for module in _SCHEMA_FILES:
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for message in file.message_type:
            _declare_text_as_bytes(message)
        pool.Add(file)
    name = ExportTraceServiceRequest.DESCRIPTOR.full_name
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def _declare_text_as_bytes(message: descriptor_pb2.DescriptorProto) -> None:
    for field in message.field:
        if field.type == descriptor_pb2.FieldDescriptorProto.TYPE_STRING:
            field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
    for nested in message.nested_type:
        _declare_text_as_bytes(nested)
