"""What was said in a call, as attributes: those that the app opted in to, cut and redacted."""

from __future__ import annotations

from collections.abc import Callable

from fanlight._guard import guard
from fanlight._otlp import MAX_STRING_BYTES
from fanlight._runtime import runtime
from fanlight.capture import content
from fanlight.capture.content import GeneratedText, Keeper, Message
from fanlight.capture.request import decode_body
from fanlight_schema import attributes as names

_reading = guard("content")  # a redaction that fails keeps nothing of its text


def keeps(attribute: str) -> bool:
    return runtime.content is not None and attribute in runtime.content.attributes


def put_content(attributes: dict[str, str], sent: bytes | None, text: GeneratedText | None) -> None:
    """Add the attributes that are kept of a request's body and of an answer's text."""
    body = decode_body(sent) if sent is not None else None
    if body is not None:
        _put(attributes, names.INPUT_MESSAGES, lambda keeper: content.input_messages(body, keeper))
        _put(attributes, names.SYSTEM_INSTRUCTIONS, lambda keeper: content.instructions(body, keeper))
    if text is not None:
        _put(attributes, names.OUTPUT_MESSAGES, lambda keeper: content.output_messages(text, keeper))


def _put(attributes: dict[str, str], name: str, read: Callable[[Keeper], list[Message]]) -> None:
    policy = runtime.content
    if policy is None or name not in policy.attributes:
        return
    with _reading:
        if messages := read(Keeper(policy.limit_chars, policy.redact, MAX_STRING_BYTES)):
            attributes[name] = content.as_json(messages)
