"""What an answer says: id, model, finish reasons, tokens of every kind, an error's type. Text only if asked.

`input_tokens` include the cached ones and `output_tokens` include reasoning, whatever the provider's own
counting is; `fanlight.capture.token_rules` has the rule of each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from fanlight.capture.content import GeneratedText


class Usage(NamedTuple):
    """Tokens of one request as its provider reported them; None is not reported, never 0."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ServerTimings:
    """Where the server says that a request's time went, in seconds; None is not said."""

    queue_s: float | None = None  # before any work
    load_s: float | None = None  # of the model into memory
    prefill_s: float | None = None  # over the input
    decode_s: float | None = None  # over the output
    inference_s: float | None = None  # prefill and decode together
    first_token_s: float | None = None  # from the request's arrival to the first token
    total_s: float | None = None


@dataclass(slots=True)
class Answer:
    """What is known of an answer so far; a stream fills it event by event."""

    id: str | None = None
    model: str | None = None
    finish_reasons: dict[int, str] = field(default_factory=dict)  # by choice
    usage: Usage | None = None
    error_type: str | None = None
    timings: ServerTimings | None = None
    text: GeneratedText | None = None  # only where it is to be kept
