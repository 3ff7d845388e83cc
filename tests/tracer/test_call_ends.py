"""How a call ends is told in fewer steps where little of it is new: the same as telling all of it."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

from fanlight._otlp import encode_own_span, encode_span
from fanlight.capture.answer import Usage
from fanlight.capture.endpoints import endpoint_at
from fanlight.capture.request import Asked
from fanlight.capture.token_rules import MAX_KEYS, RULES, TokenRule
from fanlight.patches._attributes import call_attributes, ended_with
from fanlight.patches._call import Call, Request
from fanlight.testing import Captured

PATH = "/v1/chat/completions"
COUNTS = (None, 0, 1, 127, 2_048, 2**31)


def bodies(seed: int) -> tuple[int, dict[str, Any]]:
    """A status and an answer of some server."""
    rng = random.Random(seed)
    body: dict[str, Any] = {}
    if rng.random() < 0.8:
        body["id"] = f"chatcmpl-{seed}"
    if rng.random() < 0.8:
        body["model"] = rng.choice(("m", "large-2"))
    if rng.random() < 0.8:
        reasons = rng.choices(("stop", "length", None), k=rng.randint(0, 2))
        body["choices"] = [{"index": at, "finish_reason": reason} for at, reason in enumerate(reasons)]
    if rng.random() < 0.8:
        usage = {"prompt_tokens": rng.choice(COUNTS), "completion_tokens": rng.choice(COUNTS)}
        details = {"cached_tokens": rng.choice(COUNTS)}
        body["usage"] = {**usage, "prompt_tokens_details": details}
    if rng.random() < 0.2:
        body["error"] = {"type": "overloaded"}
    if rng.random() < 0.2:
        body["timings"] = {"prompt_ms": 3.5, "predicted_ms": 2}
    return rng.choice((200, 200, 200, 404, 500)), body


@pytest.mark.parametrize("seed", range(60))
def test_a_call_ends_with_the_same_in_few_steps_as_in_all(captured: Captured, seed: int) -> None:
    endpoint = endpoint_at(PATH)
    assert endpoint is not None
    call = Call(endpoint, Asked("m"))
    request = Request(call, "models.test", 8000, PATH, None, 0)
    status, body = bodies(seed)
    request.headers_came(status, "application/json", None)
    request.whole(json.dumps(body).encode())
    own, alike = ended_with(request)
    assert {**own, **({} if alike is None else alike.attributes)} == call_attributes([request])

    span = call.span
    span.add(own, alike)
    span.end_time_ns = span.start_time_ns + 1
    in_few_steps = decoded(encode_own_span(span))
    span.mixed = True
    assert in_few_steps == decoded(encode_span(span))
    call.discard()


def decoded(field: bytes) -> tuple[bytes, list[str]]:
    """A span without its attributes, and those in order."""
    (span,) = ScopeSpans.FromString(field).spans
    attributes = sorted(map(str, span.attributes))
    del span.attributes[:]
    return span.SerializeToString(), attributes


def added_up(rule: TokenRule, counts: Mapping[str, Any]) -> Usage | None:
    """By the words of the table: of each term the first name that is there, terms of a kind added."""

    def first(names: tuple[str, ...]) -> int | None:
        for name in names:
            value: Any = counts
            for key in name.rsplit(".", 1):
                value = value.get(key) if isinstance(value, dict) else None
            if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32:
                return value
        return None

    def total(terms: tuple[tuple[str, ...], ...]) -> int | None:
        found = [count for count in map(first, terms) if count is not None]
        return sum(found) if found else None

    kinds = (rule.input, rule.output, (rule.cache_read,), (rule.cache_write,), (rule.reasoning,))
    usage = Usage(*map(total, kinds))
    return None if usage == Usage() else usage


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.provider)
def test_a_token_rule_counts_the_same_whatever_else_its_object_has(rule: TokenRule) -> None:
    rng = random.Random(7)
    terms = (*rule.input, *rule.output, rule.cache_read, rule.cache_write, rule.reasoning)
    names = sorted({name for term in terms for name in term})
    values = (None, 0, 5, 40, -1, True, "7", 2**32)
    for _ in range(200):
        counts: dict[str, Any] = {"other": 1}
        if rng.random() < 0.1:
            counts |= {f"k{number}": 1 for number in range(MAX_KEYS)}
        for name in rng.sample(names, rng.randint(0, len(names))):
            holder, _, key = name.rpartition(".")
            held = counts.setdefault(holder, {}) if holder else counts
            held[key] = rng.choice(values)
        assert rule.read(counts) == added_up(rule, counts)
