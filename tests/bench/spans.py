"""Sessions as the OTLP requests that fanlight's tracer would send for them, without running any agent.

    for body in requests(sessions, ended_at_s=time.time()): ...

Attribute names are the schema's. Times are the recording's: each session's calls one after the other,
sessions spread evenly over the days before `ended_at_s`.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import support_path  # noqa: F401
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

import weka
from fanlight_schema import attributes as names

SPANS_PER_REQUEST = 512  # OTEL_BSP_MAX_EXPORT_BATCH_SIZE's default
DAYS = 7.0

Value = str | int | bool | tuple[str, ...]


@dataclass(slots=True)
class Open:
    """A span that has begun; `ended` of its trace makes the bytes of it."""

    span: Span
    attributes: Mapping[str, Value]


@dataclass(slots=True)
class Writer:
    """Turns sessions into serialised spans; two writers of one seed write the same ids."""

    pad_to: int = 0  # attributes that each span gets at least
    chance: random.Random = field(default_factory=random.Random)

    def session(self, session: weka.Session, user: str, starts_s: float) -> Iterator[bytes]:
        now_s = starts_s
        for action in session.actions:
            trace_id = self.chance.randbytes(16)
            shared: dict[str, Value] = {
                names.ACTION_ID: trace_id.hex(),
                names.ACTION_NAME: "user_turn",
                names.ACTION_ORIGIN: "user",
                names.ACTION_SOURCE: "declared",
                names.WORKLOAD: "serving",
                names.USER_ID: user,
                names.SESSION_ID: user.removeprefix("u-"),
            }
            trace = _Trace(self, trace_id, shared, now_s)
            root = trace.span("user_turn", Span.SPAN_KIND_INTERNAL, b"", 0, {names.ROLE: "action"})
            yield from trace.steps(action.steps, root.span.span_id, 0)
            yield trace.ended(root)
            now_s = trace.now_s


@dataclass(slots=True)
class _Trace:
    writer: Writer
    trace_id: bytes
    shared: Mapping[str, Value]
    now_s: float

    def steps(self, steps: Iterable[weka.Step], parent: bytes, hop: int) -> Iterator[bytes]:
        for step in steps:
            if isinstance(step, weka.Call):
                yield from self.call(step, parent, hop)
            else:
                attributes = {
                    names.ROLE: "agent",
                    names.OPERATION_NAME: names.OPERATION_INVOKE_AGENT,
                    names.AGENT_NAME: step.name,
                }
                agent = self.span(
                    f"invoke_agent {step.name}", Span.SPAN_KIND_INTERNAL, parent, hop, attributes
                )
                yield from self.steps(step.steps, agent.span.span_id, hop + 1)
                yield self.ended(agent)

    def call(self, call: weka.Call, parent: bytes, hop: int) -> Iterator[bytes]:
        span = self.span(f"chat {call.model}", Span.SPAN_KIND_CLIENT, parent, hop, _call_attributes(call))
        self.now_s += call.duration_s
        yield self.ended(span)
        if call.used_tools:
            attributes = {
                names.ROLE: "tool",
                names.OPERATION_NAME: names.OPERATION_EXECUTE_TOOL,
                names.TOOL_NAME: "recorded_tool",
            }
            tool = self.span("execute_tool recorded_tool", Span.SPAN_KIND_INTERNAL, parent, hop, attributes)
            yield self.ended(tool)

    def span(self, name: str, kind: int, parent: bytes, hop: int, own: Mapping[str, Value]) -> Open:
        attributes = {**self.shared, **own, names.HOP: hop}
        padding = {f"app.label_{n}": f"value {n}" for n in range(self.writer.pad_to - len(attributes))}
        span = Span(
            trace_id=self.trace_id,
            span_id=self.writer.chance.randbytes(8),
            parent_span_id=parent,
            name=name,
            kind=kind,
            start_time_unix_nano=int(self.now_s * 1e9),
        )
        return Open(span, attributes | padding)

    def ended(self, begun: Open) -> bytes:
        self.now_s += 0.001
        begun.span.end_time_unix_nano = int(self.now_s * 1e9)
        attributes = [_attribute(key, value) for key, value in begun.attributes.items()]
        return begun.span.SerializeToString() + b"".join(attributes)


def requests(
    sessions: Sequence[weka.Session], *, ended_at_s: float, copies: int = 1, pad_to: int = 0, seed: int = 1
) -> Iterator[bytes]:
    """Serialised OTLP requests of SPANS_PER_REQUEST spans; each session `copies` times, as a user each."""
    writer = Writer(pad_to, random.Random(seed))
    batch: list[bytes] = []
    for number, (session, copy) in enumerate((s, c) for c in range(copies) for s in sessions):
        age_s = DAYS * 86_400 * (1 - number / (len(sessions) * copies))
        length_s = sum(call.duration_s + 0.01 for call in session.calls())
        batch += writer.session(session, f"{session.user}-{copy}", ended_at_s - age_s - length_s)
        while len(batch) >= SPANS_PER_REQUEST:
            yield request(batch[:SPANS_PER_REQUEST])
            del batch[:SPANS_PER_REQUEST]
    if batch:
        yield request(batch)


def _call_attributes(call: weka.Call) -> dict[str, Value]:
    return {
        names.ROLE: "call",
        names.OPERATION_NAME: "chat",
        names.PROVIDER_NAME: "openai",
        names.REQUEST_MODEL: call.model,
        names.REQUEST_STREAM: call.streamed,
        names.RESPONSE_MODEL: call.model,
        names.RESPONSE_ID: f"chatcmpl-{call.key}",
        names.RESPONSE_FINISH_REASONS: ("tool_calls" if call.used_tools else "stop",),
        names.INPUT_TOKENS: call.input_tokens,
        names.OUTPUT_TOKENS: call.output_tokens,
        names.CACHE_READ_TOKENS: call.cached_tokens,
        names.SERVER_ADDRESS: "127.0.0.1",
        names.SERVER_PORT: 8000,
        names.HTTP_STATUS_CODE: 200,
        names.WIRE: True,
        names.REQUESTS: 1,
        names.REQUEST_OUTCOME: "answered",
        names.USAGE_SOURCE: "reported",
    }


@lru_cache(maxsize=10_000, typed=True)
def _attribute(key: str, value: Value) -> bytes:
    """A span's attribute with its tag: parts of a message that are strung together are the message."""
    pair = KeyValue(key=key, value=_any_value(value)).SerializeToString()
    return _field(Span.ATTRIBUTES_FIELD_NUMBER, pair)


def _any_value(value: Value) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=value)
    return AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=item) for item in value]))


def request(spans: Iterable[bytes]) -> bytes:
    own = {"service.name": "bench", "telemetry.sdk.language": "python"}
    resource = Resource(attributes=[KeyValue(key=k, value=_any_value(v)) for k, v in own.items()])
    scope = InstrumentationScope(name="fanlight")
    scope_spans = _field(ScopeSpans.SCOPE_FIELD_NUMBER, scope.SerializeToString()) + b"".join(
        _field(ScopeSpans.SPANS_FIELD_NUMBER, span) for span in spans
    )
    resource_spans = _field(ResourceSpans.RESOURCE_FIELD_NUMBER, resource.SerializeToString()) + _field(
        ResourceSpans.SCOPE_SPANS_FIELD_NUMBER, scope_spans
    )
    return _field(ExportTraceServiceRequest.RESOURCE_SPANS_FIELD_NUMBER, resource_spans)


def _field(number: int, payload: bytes) -> bytes:
    """A length-delimited field of a protobuf message."""
    return bytes([number << 3 | 2]) + _varint(len(payload)) + payload


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])
