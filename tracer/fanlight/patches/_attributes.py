"""What the span of a call, and the spans of its requests, say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from fanlight._template import KEPT_TEMPLATES, Said, Template
from fanlight.capture.answer import Answer, ServerTimings, Usage
from fanlight.capture.providers import provider_of
from fanlight.capture.request import Asked
from fanlight.capture.wire_format import Endpoint
from fanlight_schema import attributes as names
from fanlight_schema.attributes import RequestOutcome, UsageSource

if TYPE_CHECKING:
    from fanlight.patches._call import Request

Attributes = dict[str, AttributeValue]
_SPEAKS: Mapping[RequestOutcome, int] = {"answered": 2, "unknown": 1, "refused": 0}


@lru_cache(maxsize=KEPT_TEMPLATES)
def call_template(endpoint: Endpoint, asked: Asked, host: str | None, port: int | None) -> Template:
    """What a call says before it is answered; the host is known when its first request is made."""
    attributes: Attributes = {names.OPERATION_NAME: endpoint.operation, names.WIRE: True}
    if asked.model is not None:
        attributes[names.REQUEST_MODEL] = asked.model
    _put_asked(attributes, asked)
    if host is not None:
        _put_server(attributes, endpoint, host, port)
    name = f"{endpoint.operation} {asked.model}" if asked.model else endpoint.operation
    return Template(name, "call", SpanKind.CLIENT, attributes)


def spokesman_of(requests: Sequence[Request]) -> Request:
    """The request that speaks for a call: its answered one, else the last one that a model may have worked
    for, else the last.
    """
    if len(requests) == 1:
        return requests[0]
    return max(reversed(requests), key=lambda request: _SPEAKS[request.outcome])


def ended_with(request: Request) -> tuple[Attributes, Said | None]:
    """What is known of a call when its only request has ended: its own, and what other calls end with, too.

    The same as `call_attributes`, for less: of an answer with usage little is new.
    """
    reader = request.reader
    answer = None if reader is None else reader.answer
    usage = None if answer is None else answer.usage
    if (
        reader is None
        or answer is None
        or usage is None
        or usage.output_tokens is None
        or request.content is not None
        or answer.error_type is not None
        or request.status is None
    ):
        return call_attributes([request]), None
    attributes: Attributes = {}
    if answer.id is not None:
        attributes[names.RESPONSE_ID] = answer.id
    for name, count in zip(_COUNTS, usage, strict=True):
        if count is not None:
            attributes[name] = count
    if answer.timings is not None:
        _put_timings(attributes, answer.timings)
    if reader.streamed and request.streamed:
        _put_stream(attributes, request, reader.content_events)
    whole = request.end == "completed" and request.status < 400
    return attributes, _said_alike(
        "answered" if whole else request.outcome,
        request.status,
        answer.model,
        tuple(answer.finish_reasons.values()),
    )


@lru_cache(maxsize=KEPT_TEMPLATES)
def _said_alike(
    outcome: RequestOutcome, status: int, model: str | None, finish_reasons: tuple[str, ...]
) -> Said:
    attributes: Attributes = {
        names.REQUESTS: 1,
        names.REQUEST_OUTCOME: outcome,
        names.HTTP_STATUS_CODE: status,
        names.USAGE_SOURCE: "reported",
    }
    if model is not None:
        attributes[names.RESPONSE_MODEL] = model
    if finish_reasons:
        attributes[names.RESPONSE_FINISH_REASONS] = finish_reasons
    return Said(attributes)


def call_attributes(requests: Sequence[Request]) -> Attributes:
    """What is known of a call when it ends, beside its template."""
    attributes: Attributes = {names.REQUESTS: len(requests)}
    if not requests:
        return attributes
    spokesman = spokesman_of(requests)
    if len(requests) == 1:
        attributes[names.REQUEST_OUTCOME] = spokesman.outcome
        if spokesman.status is not None:
            attributes[names.HTTP_STATUS_CODE] = spokesman.status
    _put_answer(attributes, spokesman)
    if spokesman.content is not None:
        attributes.update(spokesman.content)
    return attributes


def request_attributes(asked: Asked, request: Request, resend_count: int) -> Mapping[str, AttributeValue]:
    """What is known of one of several requests of a call."""
    attributes: Attributes = {names.RESEND_COUNT: resend_count, names.REQUEST_OUTCOME: request.outcome}
    if request.status is not None:
        attributes[names.HTTP_STATUS_CODE] = request.status
    if asked.model is not None:
        attributes[names.REQUEST_MODEL] = asked.model
    _put_answer(attributes, request)
    _put_server(attributes, request.call.endpoint, request.host, request.port)
    return attributes


def _put_asked(attributes: Attributes, asked: Asked) -> None:
    if asked.stream:
        attributes[names.REQUEST_STREAM] = True
    if asked.max_tokens is not None:
        attributes[names.REQUEST_MAX_TOKENS] = asked.max_tokens
    if asked.choices is not None and asked.choices > 1:
        attributes[names.REQUEST_CHOICES] = asked.choices
    if asked.inputs is not None and asked.inputs > 1:
        attributes[names.INPUTS] = asked.inputs


def _put_server(attributes: Attributes, endpoint: Endpoint, host: str, port: int | None) -> None:
    attributes[names.PROVIDER_NAME] = provider_of(host, endpoint.format.provider)
    attributes[names.SERVER_ADDRESS] = host
    if port is not None:
        attributes[names.SERVER_PORT] = port


def answer_attributes(answer: Answer) -> Mapping[str, AttributeValue]:
    """What an answer says of itself."""
    attributes: Attributes = {}
    if answer.usage is not None:
        _put_usage(attributes, answer.usage, "reported")
    _put_identity(attributes, answer)
    return attributes


def _put_answer(attributes: Attributes, request: Request) -> None:
    reader = request.reader
    answer = None if reader is None else reader.answer
    if answer is not None and answer.usage is not None and answer.usage.output_tokens is not None:
        _put_usage(attributes, answer.usage, "reported")
    elif (usage := request.usage) is not None:
        _put_usage(attributes, *usage)
    if reader is None or answer is None:
        return
    _put_identity(attributes, answer)
    if answer.error_type is not None and request.status is not None and request.status >= 400:
        attributes[names.PROVIDER_ERROR] = answer.error_type
    if reader.streamed and request.streamed:
        _put_stream(attributes, request, reader.content_events)


def _put_identity(attributes: Attributes, answer: Answer) -> None:
    if answer.id is not None:
        attributes[names.RESPONSE_ID] = answer.id
    if answer.model is not None:
        attributes[names.RESPONSE_MODEL] = answer.model
    if answer.finish_reasons:
        attributes[names.RESPONSE_FINISH_REASONS] = tuple(answer.finish_reasons.values())
    if answer.timings is not None:
        _put_timings(attributes, answer.timings)


def _put_stream(attributes: Attributes, request: Request, chunks: int) -> None:
    attributes[names.CHUNKS] = chunks
    attributes[names.STREAM_END] = request.end
    attributes[names.STREAM_CONSUMER_WAIT_S] = request.waited_ns / 1e9
    if request.first_content_ns is not None:
        attributes[names.TIME_TO_FIRST_CHUNK_S] = (request.first_content_ns - request.started_ns) / 1e9


_COUNTS = (  # in the order of a `Usage`
    names.INPUT_TOKENS,
    names.OUTPUT_TOKENS,
    names.CACHE_READ_TOKENS,
    names.CACHE_WRITE_TOKENS,
    names.REASONING_TOKENS,
)
_TIMINGS = (
    (names.SERVER_QUEUE_S, "queue_s"),
    (names.SERVER_LOAD_S, "load_s"),
    (names.SERVER_PREFILL_S, "prefill_s"),
    (names.SERVER_DECODE_S, "decode_s"),
    (names.SERVER_INFERENCE_S, "inference_s"),
    (names.SERVER_FIRST_TOKEN_S, "first_token_s"),
    (names.SERVER_TOTAL_S, "total_s"),
)


def _put_timings(attributes: Attributes, timings: ServerTimings) -> None:
    for name, field in _TIMINGS:
        time_s = getattr(timings, field)
        if time_s is not None:
            attributes[name] = time_s


def _put_usage(attributes: Attributes, usage: Usage, source: UsageSource) -> None:
    attributes[names.USAGE_SOURCE] = source
    for name, count in zip(_COUNTS, usage, strict=True):
        if count is not None:
            attributes[name] = count
