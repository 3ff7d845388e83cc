"""What a request asks for: model, streaming, number of inputs and choices, token limit. Never its text.

endpoint = endpoint_of("POST", "/v1/chat/completions")
read_sent(endpoint, "/v1/chat/completions", b'{"model": "m", "messages": []}') == Asked("m")
read_request(endpoint, "/v1/chat/completions", {"model": "m"}) == Asked("m")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fanlight.capture.values import MAX_TEXT_CHARS, decode_object, member, text
from fanlight.capture.wire_format import Endpoint

MAX_BODY_BYTES = 16 * 2**20  # a larger request body is not decoded; what it asked for stays unknown


class Asked(NamedTuple):
    """What one inference request asked for; None is unknown or not said."""

    model: str | None = None
    stream: bool = False
    choices: int | None = None
    inputs: int | None = None  # sequences of an embeddings request, or prompts of a completion
    max_tokens: int | None = None


def read_request(endpoint: Endpoint, path: str, body: Mapping[str, object] | None) -> Asked:
    """What a request to `endpoint` asks for; without a body that can be read, what its path says."""
    streams = endpoint.streams
    if body is None:
        return Asked(endpoint.model_in(path), streams is True)
    fields = endpoint.format.fields
    if streams is None:
        said = body.get(fields.stream)
        streams = said is True or (said is None and fields.streams_by_default)
    model = body.get(fields.model[0]) if fields.model else None
    if type(model) is not str or not 0 < len(model) <= MAX_TEXT_CHARS:
        model = _first_text(body, fields.model) or endpoint.model_in(path)
    counted = not fields.counted.isdisjoint(body)
    return Asked(
        model,
        streams,
        _first_count(body, fields.choices) if counted else None,
        _inputs(member(body, endpoint.inputs)) if endpoint.inputs else None,
        _first_count(body, fields.max_tokens) if counted else None,
    )


def read_sent(endpoint: Endpoint, path: str, content: bytes | None) -> Asked | None:
    """The same of a body's bytes; None if they are no request to `endpoint` after all."""
    if not endpoint.is_json:
        return read_request(endpoint, path, None)
    body = None if content is None else decode_body(content)
    return None if body is None or not endpoint.fits(body) else read_request(endpoint, path, body)


def decode_body(content: bytes) -> Mapping[str, object] | None:
    """A request body as a mapping, or None if it is not a JSON object (or too large to look into)."""
    if len(content) > MAX_BODY_BYTES or content[:16].lstrip()[:1] != b"{":
        return None
    return decode_object(content)


# What stands before a file in a request, and behind it: a data URL; audio, images and documents of OpenAI,
# Anthropic and Gemini (`data`), Bedrock (`bytes`), Imagen; Ollama's list of images.
_FILES = (
    (b";base64,", b'"'),
    (b'"data":"', b'"'),
    (b'"data": "', b'"'),
    (b'"bytes":"', b'"'),
    (b'"bytes": "', b'"'),
    (b'"bytesBase64Encoded":', b"}"),
    (b'"images":["', b"]"),
    (b'"images": ["', b"]"),
)


def text_bytes(content: bytes) -> int:
    """How many bytes of a JSON body are no file that was put into it; names and punctuation count as text,
    since a model's prompt has some of both too."""
    size = len(content)
    if not (b";base64," in content or b'"data"' in content or b'"bytes' in content or b'"images"' in content):
        return size  # none of what `_FILES` looks for
    for start, stop in _FILES:
        at = content.find(start)
        while at >= 0:
            begin = at + len(start)
            end = content.find(stop, begin)
            end = len(content) if end < 0 else end
            size -= end - begin
            at = content.find(start, end)
    return size


def _inputs(given: object) -> int | None:
    """Strings or token lists are one sequence each; a single string or one flat token list is one."""
    if isinstance(given, str):
        return 1
    if not isinstance(given, Sequence) or not given:
        return None
    return 1 if isinstance(given[0], int) else len(given)


def _first_text(body: Mapping[str, object], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = body.get(name) if name in body else member(body, name) if "." in name else None
        if value is not None and (found := text(value)) is not None:
            return found
    return None


def _first_count(body: Mapping[str, object], names: tuple[str, ...]) -> int | None:
    for name in names:
        value = body.get(name) if name in body else member(body, name) if "." in name else None
        if type(value) is int:
            return value
    return None
