"""Paths, request bodies and answers are read as the providers' documentation has them."""

import json
from typing import Any

import pytest

from fanlight.capture import values
from fanlight.capture.answer import Answer, Usage
from fanlight.capture.body import read_answer
from fanlight.capture.endpoints import endpoint_of
from fanlight.capture.formats import openai
from fanlight.capture.formats.openai import read_usage
from fanlight.capture.outcome import end_of_error, outcome_of, unreported_usage
from fanlight.capture.providers import provider_of
from fanlight.capture.request import Asked, decode_body, read_request, read_sent, text_bytes


def answer_of(body: bytes) -> Answer:
    answer = Answer()
    read_answer(body, openai.CHAT, answer)
    return answer


def asked_of(path: str, body: dict[str, Any] | None) -> Asked:
    endpoint = endpoint_of("POST", path)
    assert endpoint is not None
    return read_request(endpoint, path, body)


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v1/chat/completions", "chat"),
        ("/chat/completions/", "chat"),
        ("/openai/deployments/gpt-4o/chat/completions?api-version=1", "chat"),
        ("/v1beta/openai/chat/completions", "chat"),
        ("/v1/completions", "text_completion"),
        ("/v1/responses", "chat"),
        ("/v1/responses/compact", "chat"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/rerank", "rerank"),
        ("/v1/moderations", "moderation"),
        ("/v1/images/generations", "image_generation"),
        ("/v1/audio/transcriptions", "transcription"),
        ("/v1/audio/speech", "speech"),
    ],
)
def test_inference_is_told_by_the_path(path: str, operation: str) -> None:
    found = endpoint_of("post", path)
    assert found is not None
    assert found.operation == operation
    assert endpoint_of("GET", path) is None


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models",
        "/v1/files",
        "/v1/batches",
        "/v1/chat/completions/chatcmpl-1",
        "/v1/responses/resp_1",
        "/v1/responses/resp_1/cancel",
        "/v1/responses/input_tokens",
        "/v1/fine_tuning/jobs",
        "/v1/images",
        "/v1/traces",
        "/",
        "",
    ],
)
def test_other_paths_are_none(path: str) -> None:
    assert endpoint_of("POST", path) is None


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.openai.com", "openai"),
        ("127.0.0.1", "openai"),
        ("me.openai.azure.com", "azure.ai.openai"),
        ("api.groq.com", "groq"),
        ("notgroq.com", "openai"),
        ("x.ai", "x_ai"),
        ("api.x.ai", "x_ai"),
    ],
)
def test_a_host_names_its_provider(host: str, provider: str) -> None:
    assert provider_of(host) == provider


def test_a_deployment_is_in_the_path() -> None:
    azure = "/openai/deployments/gpt-4o/chat/completions"
    assert asked_of(azure, None) == asked_of(azure, {"messages": []}) == Asked("gpt-4o")
    assert asked_of(azure, {"model": "m"}) == Asked("m")
    assert asked_of("/v1/chat/completions", None) == Asked()


def test_a_body_of_another_shape_is_no_request() -> None:
    chat, image = endpoint_of("POST", "/chat/completions"), endpoint_of("POST", "/images/edits")
    assert chat is not None
    assert image is not None
    assert read_sent(chat, "/chat/completions", b'{"model": "m", "messages": []}') == Asked("m")
    assert read_sent(chat, "/chat/completions", b'{"survey": 1}') is None
    assert read_sent(chat, "/chat/completions", None) is None
    assert read_sent(image, "/images/edits", None) == Asked()


@pytest.mark.parametrize(
    ("body", "path", "asked"),
    [
        ({"model": "m"}, "/chat/completions", Asked("m")),
        ({"model": "", "stream": True, "n": 2}, "/chat/completions", Asked(None, True, 2)),
        (
            {"model": "m", "max_tokens": 5, "max_completion_tokens": 6},
            "/chat/completions",
            Asked("m", max_tokens=6),
        ),
        ({"model": "m", "max_output_tokens": 7}, "/chat/completions", Asked("m", max_tokens=7)),
        ({"model": "m", "input": "one"}, "/embeddings", Asked("m", inputs=1)),
        ({"model": "m", "input": ["a", "b"]}, "/embeddings", Asked("m", inputs=2)),
        ({"model": "m", "input": [1, 2, 3]}, "/embeddings", Asked("m", inputs=1)),
        ({"model": "m", "input": [[1], [2, 3]]}, "/embeddings", Asked("m", inputs=2)),
        ({"model": "m", "prompt": ["a", "b", "c"]}, "/completions", Asked("m", inputs=3)),
        ({"model": 7, "n": "2", "stream": "yes"}, "/chat/completions", Asked()),
    ],
)
def test_a_request_says_what_it_asks_for(body: dict[str, Any], path: str, asked: Asked) -> None:
    assert asked_of(path, body) == asked


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b'"x"', b"\xff\xfe", b"--boundary", b"{" * 100_000])
def test_a_body_that_is_no_object_is_nothing(content: bytes) -> None:
    assert decode_body(content) is None


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 4}, Usage(9, 4)),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 4,
                "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 1},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(9, 4, 2, 1, 3),
        ),
        (
            {
                "input_tokens": 9,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": 4,
                "output_tokens_details": {"reasoning_tokens": 0},
            },
            Usage(9, 4, 0, None, 0),
        ),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 5, "completion_tokens": 1}, Usage(9, 1, 5)),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 4,
                "total_tokens": 16,
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(9, 7, reasoning_tokens=3),  # xAI: reasoning is not in completion_tokens
        ),
        ({"prompt_tokens": None, "completion_tokens": "4", "total_tokens": -1}, None),
        ({}, None),
    ],
)
def test_usage_is_read_in_every_spelling(usage: dict[str, Any], expected: Usage) -> None:
    assert read_usage(usage) == expected


def test_a_large_answer_is_read_by_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {
        "object": "list",
        "data": [{"embedding": [0.5] * 20_000, "index": 0}],
        "model": "m",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }
    decoded: list[int] = []
    scan = values._scan
    monkeypatch.setattr(values, "_scan", lambda text, at: decoded.append(len(text)) or scan(text, at))
    found = answer_of(json.dumps(body).encode())
    assert (found.model, found.usage) == ("m", Usage(7))
    assert max(decoded) < 200


@pytest.mark.parametrize("place", ["first", "nested", "text"])
def test_a_large_answer_in_another_order_is_read_all_the_same(place: str) -> None:
    usage = {"prompt_tokens": 7}
    large = [0.5] * 20_000
    body: dict[str, Any] = {
        "first": {"usage": usage, "model": "m", "data": large},
        "nested": {"model": "m", "usage": usage, "data": [{"usage": {"prompt_tokens": 9}, "v": large}]},
        "text": {"model": "m", "usage": usage, "choices": [{"message": '"usage":{' + "x" * 100_000}]},
    }[place]
    assert answer_of(json.dumps(body).encode()).usage == Usage(7)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"<html>", b'{"usage": 7, "choices": {}, "error": []}']
)
def test_any_bytes_may_answer(body: bytes) -> None:
    assert answer_of(body).usage is None


@pytest.mark.parametrize(
    ("status", "end", "error", "began", "outcome"),
    [
        (200, "completed", None, False, "answered"),
        (200, "closed", None, True, "answered"),
        (200, "abandoned", None, True, "answered"),
        (200, "closed", None, False, "unknown"),
        (200, "cut", "RemoteProtocolError", True, "unknown"),
        (200, "cancelled", "CancelledError", True, "unknown"),
        (400, "completed", None, False, "refused"),
        (429, "completed", None, False, "refused"),
        (503, "completed", None, False, "refused"),
        (500, "completed", None, False, "unknown"),
        (None, "error", "ConnectError", False, "refused"),
        (None, "error", "ConnectTimeout", False, "refused"),
        (None, "error", "ReadTimeout", False, "unknown"),
        (None, "cancelled", "CancelledError", False, "unknown"),
    ],
)
def test_the_outcome_follows_status_and_end(
    status: int | None, end: Any, error: str | None, began: bool, outcome: str
) -> None:
    assert outcome_of(status, end, error, began=began) == outcome


def test_exceptions_tell_how_it_ended() -> None:
    names = ("CancelledError", "KeyboardInterrupt", "RemoteProtocolError", "ReadTimeout")
    assert [end_of_error(name) for name in names] == ["cancelled", "cancelled", "cut", "error"]


def test_tokens_are_counted_where_one_event_is_one_token_and_else_estimated() -> None:
    assert unreported_usage(None, 0, 0) is None
    assert unreported_usage(None, 10, 45) == (Usage(output_tokens=10), "counted")
    assert unreported_usage(None, 10, 400) == (Usage(output_tokens=100), "estimated")


def test_input_that_nobody_reported_is_estimated_from_what_was_sent() -> None:
    assert unreported_usage(402, 0, 0) == (Usage(input_tokens=100), "estimated")
    assert unreported_usage(402, 10, 45) == (Usage(input_tokens=100, output_tokens=10), "estimated")


@pytest.mark.parametrize(
    ("sent", "without_files"),
    [
        (b"", 0),
        (b'{"prompt":"hello"}', 18),
        (b'{"url":"data:image/png;base64,AAAA"}', 32),
        (b'{"a":"data:image/png;base64,AAAA","b":"data:image/png;base64,BBBB"}', 59),
        (b'{"input_audio":{"data":"UklGRg==","format":"wav"}}', 42),
        (b'{"input_audio":{"data": "UklGRg==","format": "wav"}}', 44),
        (b'{"url":"data:image/png;base64,AAAA', 30),
        (b'{"images":["AAAA","BBBB"],"x":1}', 20),
        (b'{"source":{"bytes":"AAAA"}}', 23),
        (b'{"prompt":"what is \\"data\\":\\"x\\"?"}', 36),
    ],
)
def test_files_in_a_request_are_no_text(sent: bytes, without_files: int) -> None:
    assert text_bytes(sent) == without_files
