"""Calls in other formats than OpenAI's, over bare httpx: their spans say what the answers say."""

from typing import Any

import pytest

from example_server import serving
from fanlight.capture.endpoints import endpoint_of
from fanlight.capture.request import Asked
from fanlight.patches._call import Call
from fanlight.patches._current import enter_call, leave_call
from fanlight.testing import Captured
from wire_examples import EXAMPLES
from wire_shapes import Example

by_name = {example.name: example for example in EXAMPLES}
MESSAGES = [{"role": "user", "content": "x"}]

TOKENS = {
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "gen_ai.usage.cache_read.input_tokens": "cache_read_tokens",
    "gen_ai.usage.cache_write.input_tokens": "cache_write_tokens",
    "gen_ai.usage.reasoning.output_tokens": "reasoning_tokens",
}
TIMES = {
    "fanlight.server.queue": "queue_s",
    "fanlight.server.load": "load_s",
    "fanlight.server.prefill": "prefill_s",
    "fanlight.server.decode": "decode_s",
    "fanlight.server.inference": "inference_s",
    "fanlight.server.first_token": "first_token_s",
    "fanlight.server.total": "total_s",
}


@pytest.fixture(params=["httpx", "httpx2"])
def httpx(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def said_by(example: Example) -> dict[str, object]:
    """The attributes that come from the answer."""
    answer = example.answer
    found: dict[str, object] = {
        "gen_ai.response.id": answer.id,
        "gen_ai.response.model": answer.model,
        "gen_ai.response.finish_reasons": tuple(answer.finish_reasons.values()) or None,
        "fanlight.stream.chunks": len(example.texts) if example.texts else None,
        "fanlight.stream.end": "completed" if example.texts else None,
    }
    for names, holder in ((TOKENS, answer.usage), (TIMES, answer.timings)):
        found |= {name: getattr(holder, field, None) for name, field in names.items()}
    return {name: value for name, value in found.items() if value is not None}


CALLS: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "anthropic, stream",
        {"model": "claude", "max_tokens": 5, "messages": MESSAGES, "stream": True},
        "chat",
        "anthropic",
    ),
    ("gemini, array", {"contents": []}, "generate_content", "gcp.gemini"),
    ("gemini, events", {"contents": []}, "generate_content", "gcp.gemini"),
    ("ollama, stream", {"model": "llama", "messages": MESSAGES}, "chat", "ollama"),
    ("ollama", {"model": "llama", "messages": MESSAGES, "stream": False}, "chat", "ollama"),
    ("cohere v2, stream", {"model": "command", "messages": MESSAGES, "stream": True}, "chat", "cohere"),
    ("bedrock converse, stream", {"messages": MESSAGES}, "chat", "aws.bedrock"),
    ("bedrock invoke of mistral, counts in the headers", {"prompt": "x"}, "chat", "aws.bedrock"),
    ("groq, stream", {"model": "m", "messages": MESSAGES, "stream": True}, "chat", "openai"),
    ("tgi", {"inputs": "x"}, "text_completion", "huggingface"),
]


@pytest.mark.parametrize(("name", "body", "operation", "provider"), CALLS, ids=[call[0] for call in CALLS])
def test_a_call_says_what_its_answer_says(
    captured: Captured, httpx: Any, name: str, body: dict[str, Any], operation: str, provider: str
) -> None:
    example = by_name[name]
    with (
        serving(example) as url,
        httpx.Client() as client,
        client.stream("POST", url + example.path, json=body) as response,
    ):
        assert b"".join(response.iter_raw()) == example.body
    (span,) = captured.spans
    expected = said_by(example)
    watched = {*TOKENS, *TIMES, *expected}
    assert {key: value for key, value in span.attributes.items() if key in watched} == expected
    assert span.attributes["gen_ai.operation.name"] == operation
    assert span.attributes["gen_ai.provider.name"] == provider
    assert span.attributes["fanlight.usage.source"] == "reported"
    assert span.attributes.get("gen_ai.request.stream", False) is bool(example.texts)


def test_a_stream_left_early_keeps_the_reported_input_and_the_output_that_was_seen(
    captured: Captured, httpx: Any
) -> None:
    example = by_name["anthropic, overloaded within the stream"]
    body = {"model": "claude", "max_tokens": 5, "messages": MESSAGES, "stream": True}
    with serving(example) as url:
        httpx.post(url + example.path, json=body)
    (span,) = captured.spans
    tokens = {key: value for key, value in span.attributes.items() if key in TOKENS}
    assert tokens == {
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 1,
        "gen_ai.usage.cache_read.input_tokens": 90,
        "gen_ai.usage.cache_write.input_tokens": 7,
    }
    assert span.attributes["fanlight.usage.source"] == "counted"
    assert span.attributes["error.type"] == "overloaded_error"
    assert span.attributes["fanlight.request.outcome"] == "unknown"  # some model worked, and not to the end


@pytest.mark.parametrize(
    ("name", "body", "error"),
    [
        ("gemini, refused", {"contents": []}, "RESOURCE_EXHAUSTED"),
        ("bedrock, refused", {"messages": MESSAGES}, "ValidationException"),
        ("openai, refused", {"model": "m", "messages": MESSAGES}, "invalid_request_error"),
    ],
)
def test_a_refused_request_has_its_status_and_the_provider_s_word_for_it(
    captured: Captured, httpx: Any, name: str, body: dict[str, Any], error: str
) -> None:
    example = by_name[name]
    with serving(example, status=429) as url:
        httpx.post(url + example.path, json=body)
    (span,) = captured.spans
    assert span.attributes["error.type"] == "429"
    assert span.attributes["fanlight.request.error"] == error
    assert span.attributes["fanlight.request.outcome"] == "refused"
    assert "gen_ai.usage.input_tokens" not in span.attributes


def test_a_call_that_its_sdk_sends_to_another_endpoint_is_read_as_that_one_answers(
    captured: Captured, httpx: Any
) -> None:
    """As Anthropic's SDK does with Bedrock: its retry header on a call for /v1/messages."""
    example = by_name["bedrock invoke of claude, stream"]
    messages = endpoint_of("POST", "/v1/messages")
    assert messages is not None
    call = Call(messages, Asked("claude", stream=True))
    entered = enter_call(call)
    headers = {"x-stainless-retry-count": "0"}
    with serving(example) as url:
        httpx.post(url + example.path, json={"messages": MESSAGES}, headers=headers)
    leave_call(entered)
    call.returned(None)
    (span,) = captured.spans
    assert {key: span.attributes.get(key) for key in said_by(example)} == said_by(example)
    assert span.attributes["fanlight.requests"] == 1
