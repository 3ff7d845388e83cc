"""What a request asks for: model, streaming, number of inputs and choices, token limit. Never its text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MAX_BODY_BYTES = 16 * 2**20  # a larger request body is not decoded; what it asked for stays unknown


@dataclass(frozen=True, slots=True)
class Asked:
    """What one inference request asked for; None is unknown or not said."""

    model: str | None = None
    stream: bool = False
    choices: int | None = None
    inputs: int | None = None  # sequences of an embeddings request, or prompts of a completion
    max_tokens: int | None = None


NOTHING_KNOWN = Asked()
_LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens")


def read_request(body: Mapping[str, object], operation: str) -> Asked:
    """What a decoded JSON body asks for."""
    model = body.get("model")
    return Asked(
        model=model if isinstance(model, str) and model else None,
        stream=body.get("stream") is True,
        choices=_count(body.get("n")),
        inputs=None if operation == "chat" else _inputs(body, operation),
        max_tokens=_first_count(body),
    )


def decode_body(content: bytes) -> Mapping[str, object] | None:
    """A request body as a mapping, or None if it is not a JSON object (or too large to look into)."""
    if len(content) > MAX_BODY_BYTES or content[:16].lstrip()[:1] != b"{":
        return None
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


# What stands before a file in a request: a data URL, or audio of a chat message (openai, "Audio inputs").
_FILE_STARTS = (b";base64,", b'"data":"', b'"data": "')


def text_bytes(content: bytes) -> int:
    """How many bytes of a JSON body are no file that was put into it; names and punctuation count as text,
    since a model's prompt has some of both too."""
    size = len(content)
    for start in _FILE_STARTS:
        at = content.find(start)
        while at >= 0:
            begin = at + len(start)
            end = content.find(b'"', begin)
            end = len(content) if end < 0 else end
            size -= end - begin
            at = content.find(start, end)
    return size


def _inputs(body: Mapping[str, object], operation: str) -> int | None:
    """Strings or token lists are one sequence each; a single string or one flat token list is one."""
    given = body.get({"text_completion": "prompt", "rerank": "documents"}.get(operation, "input"))
    if isinstance(given, str):
        return 1
    if not isinstance(given, Sequence) or not given:
        return None
    return 1 if isinstance(given[0], int) else len(given)


def _first_count(body: Mapping[str, object]) -> int | None:
    for key in _LIMITS:
        limit = body.get(key)
        if type(limit) is int:
            return limit
    return None


def _count(value: object) -> int | None:
    return value if type(value) is int else None
