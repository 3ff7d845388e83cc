"""Every wire format is read from a small example of it, in any cut, broken off anywhere, out of noise."""

import itertools
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wire_shapes
from fanlight.capture import events, values
from fanlight.capture.answer import Answer, ServerTimings, Usage
from fanlight.capture.body import AnswerReader, reader_for
from fanlight.capture.endpoints import ENDPOINTS, endpoint_of
from fanlight.capture.request import Asked, read_request, read_sent
from wire_examples import EXAMPLES
from wire_shapes import Example

by_name = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
streams = [example for example in EXAMPLES if example.texts]


def read(example: Example, *chunks: bytes, content_type: str | None = None) -> AnswerReader:
    endpoint = endpoint_of("POST", example.path)
    assert endpoint is not None
    kind = example.content_type if content_type is None else content_type
    reader = reader_for(endpoint, kind, example.headers.get)
    assert reader is not None
    for chunk in chunks:
        reader.feed(chunk)
    reader.finish()
    return reader


@by_name
def test_an_answer_is_read(example: Example) -> None:
    reader = read(example, example.body)
    assert reader.answer == example.answer
    assert reader.streamed == (example.content_type != wire_shapes.JSON or "array" in example.name)


@pytest.mark.parametrize("example", streams, ids=lambda example: example.name)
def test_the_text_of_a_stream_is_counted_as_it_passes(example: Example) -> None:
    reader = read(example, example.body)
    assert reader.content_events == len(example.texts)
    assert reader.content_bytes == sum(len(json.dumps(text)) - 2 for text in example.texts)
    assert reader.done == example.ends


@by_name
@given(cuts=st.lists(st.integers(0, 4000), max_size=20))
def test_an_answer_may_be_cut_anywhere(example: Example, cuts: list[int]) -> None:
    body = example.body
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    reader = read(example, *(body[a:b] for a, b in itertools.pairwise(places)))
    assert reader.answer == example.answer
    assert reader.content_events == len(example.texts)


@by_name
def test_an_answer_may_come_byte_by_byte_or_break_off_anywhere(example: Example) -> None:
    endpoint = endpoint_of("POST", example.path)
    assert endpoint is not None
    whole = reader_for(endpoint, example.content_type, example.headers.get)
    assert whole is not None
    for end, byte in enumerate(example.body):
        whole.feed(bytes([byte]))
        whole.feed(b"")
        if end % 7 == 0:
            read(example, example.body[:end])
    whole.finish()
    assert whole.answer == example.answer


@by_name
def test_without_a_content_type_the_first_bytes_tell(example: Example) -> None:
    assert read(example, example.body, content_type="").answer == example.answer
    pieces = (example.body[:1], example.body[1:3], example.body[3:])
    assert read(example, *pieces, content_type="text/plain").answer == example.answer


@by_name
def test_broken_bytes_are_never_an_error(example: Example) -> None:
    dice = random.Random(11)
    for _ in range(60):
        body = bytearray(example.body)
        for _ in range(dice.randrange(1, 5)):
            body[dice.randrange(len(body))] = dice.randrange(256)
        at = dice.randrange(len(body))
        read(example, bytes(body[:at]), bytes(body[at:]))


# Any JSON in place of what a provider sends, under the names that the formats look for.
NAMES = st.sampled_from(
    [
        "id",
        "model",
        "usage",
        "choices",
        "error",
        "type",
        "message",
        "delta",
        "metadata",
        "results",
        "candidates",
        "usageMetadata",
        "response",
        "finish_reason",
        "stop_reason",
        "input_tokens",
        "output_tokens",
        "prompt_tokens",
        "iterations",
        "details",
        "meta_info",
        "timings",
        "queue_time",
        "total_duration",
        "latencyMs",
        "metrics",
        "interaction",
        "outputs",
        "generations",
        "promptFeedback",
        "x_groq",
        "last_error",
        "status",
        "code",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from([2**40, -(2**70), 10**400])
    | st.floats()
    | st.sampled_from(["", "a", "completed"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(body=st.dictionaries(NAMES, VALUES, max_size=6))
def test_no_format_takes_offence_at_any_json(body: dict[str, Any]) -> None:
    for wire_format in {endpoint.format for endpoint in ENDPOINTS}:
        answer = Answer()
        wire_format.absorb(answer, body)
        wire_format.absorb(answer, body)
        assert all(0 <= count < 2**34 for count in answer.usage or Usage() if count is not None)


@given(body=st.binary(max_size=60), kind=st.sampled_from(["", "text/event-stream", "application/json"]))
def test_any_bytes_may_answer(body: bytes, kind: str) -> None:
    for example in (EXAMPLES[0], *streams[-3:]):
        read(example, body, content_type=kind)
        read(example, body, content_type=wire_shapes.AWS)
        read(example, body, content_type=wire_shapes.LINES)


@pytest.mark.parametrize("example", streams, ids=lambda example: example.name)
def test_most_events_of_a_stream_are_only_scanned(example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    loads = json.loads
    monkeypatch.setattr(events.json, "loads", lambda data: decoded.append(1) or loads(data))
    read(example, example.body)
    rows = {endpoint.format.name for endpoint in ENDPOINTS if endpoint is endpoint_of("POST", example.path)}
    assert rows
    if rows != {"watsonx.text"}:  # has news in every event
        assert len(decoded) <= 8


@pytest.mark.parametrize(
    ("path", "body", "asked"),
    [
        (
            "/v1/messages",
            {"model": "claude", "max_tokens": 5, "messages": [], "stream": True},
            Asked("claude", True, max_tokens=5),
        ),
        (
            "/v1/projects/p/locations/l/publishers/anthropic/models/claude%402025:rawPredict",
            {"messages": [], "max_tokens": 5},
            Asked("claude@2025", max_tokens=5),
        ),
        (
            "/v1beta/models/gemini-2.5-flash:generateContent",
            {"contents": [], "generationConfig": {"candidateCount": 2, "maxOutputTokens": 5}},
            Asked("gemini-2.5-flash", False, 2, None, 5),
        ),
        (
            "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
            {"contents": []},
            Asked("gemini-2.5-flash", True),
        ),
        ("/v1beta/tunedModels/mine:generateContent", {"contents": []}, Asked("mine")),
        ("model/nova/converse/", {"messages": []}, Asked("nova")),
        (
            "/v1internal:streamGenerateContent",
            {"model": "gemini", "request": {"contents": [], "generationConfig": {"maxOutputTokens": 5}}},
            Asked("gemini", True, max_tokens=5),
        ),
        ("/v1beta/models/e:batchEmbedContents", {"requests": [{}, {}]}, Asked("e", inputs=2)),
        (
            "/v1/projects/p/locations/l/publishers/google/models/text-embedding-005:predict",
            {"instances": [{}, {}, {}]},
            Asked("text-embedding-005", inputs=3),
        ),
        (
            "/v1beta/interactions",
            {"agent": "deep-research", "input": "x", "stream": True},
            Asked("deep-research", True),
        ),
        ("/api/chat", {"model": "llama", "messages": []}, Asked("llama", True)),
        (
            "/api/chat",
            {"model": "llama", "messages": [], "stream": False, "options": {"num_predict": 5}},
            Asked("llama", max_tokens=5),
        ),
        ("/api/embed", {"model": "e", "input": ["a", "b"]}, Asked("e", inputs=2)),
        ("/v1/chat", {"model": "command", "message": "x"}, Asked("command")),
        ("/v2/embed", {"model": "e", "texts": ["a", "b"]}, Asked("e", inputs=2)),
        ("/v2/rerank", {"model": "r", "query": "q", "documents": ["a", "b"]}, Asked("r", inputs=2)),
        ("/v1/conversations", {"agent_id": "ag_1", "inputs": "x", "stream": True}, Asked("ag_1", True)),
        ("/v1/chat/completions#stream", {"model": "m", "messages": [], "stream": True}, Asked("m", True)),
        (
            "/model/amazon.nova-lite-v1%3A0/converse",
            {"messages": [], "inferenceConfig": {"maxTokens": 5}},
            Asked("amazon.nova-lite-v1:0", max_tokens=5),
        ),
        (
            "/model/arn%3Aaws%3Abedrock%3Aus%3A1%3Aprofile%2Fx/converse-stream",
            {"messages": []},
            Asked("arn:aws:bedrock:us:1:profile/x", True),
        ),
        ("/model/meta.llama3/invoke", {"prompt": "x", "max_gen_len": 5}, Asked("meta.llama3", max_tokens=5)),
        (
            "/model/amazon.titan-text/invoke-with-response-stream",
            {"inputText": "x", "textGenerationConfig": {"maxTokenCount": 5}},
            Asked("amazon.titan-text", True, max_tokens=5),
        ),
        ("/generate", {"inputs": "x", "parameters": {"max_new_tokens": 5}}, Asked(max_tokens=5)),
        (
            "/generate",
            {"text": "x", "sampling_params": {"max_new_tokens": 5, "n": 2}, "stream": True},
            Asked(None, True, 2, None, 5),
        ),
        ("/models/org/name", {"inputs": "x"}, Asked("org/name")),
        (
            "/ml/v1/text/generation_stream",
            {"model_id": "granite", "input": "x", "parameters": {"max_new_tokens": 5}},
            Asked("granite", True, max_tokens=5),
        ),
        ("/ml/v1/deployments/d1/text/chat", {"messages": []}, Asked("d1")),
        (
            "/v1/models/meta/llama/predictions",
            {"input": {"prompt": "x", "max_tokens": 5}},
            Asked("meta/llama", max_tokens=5),
        ),
        ("/serving-endpoints/llama/invocations", {"messages": []}, Asked("llama")),
        ("/hf/models/o/e/pipeline/feature-extraction", {"inputs": ["a", "b"]}, Asked("o/e", inputs=2)),
        ("/v1/predictions", {"version": "abc", "input": {}}, Asked("abc")),
        ("/v1/deployments/o/n/predictions", {"input": {}}, Asked("o/n")),
    ],
)
def test_a_request_of_every_format_is_read(path: str, body: dict[str, Any], asked: Asked) -> None:
    endpoint = endpoint_of("POST", path)
    assert endpoint is not None
    assert read_sent(endpoint, path, json.dumps(body).encode()) == asked
    if "{" in endpoint.path:
        assert read_request(endpoint, path, None).model == asked.model


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v1beta/models/gemini-2.5-flash:generateContent", "generate_content"),
        ("/v1/models/text-embedding-005:predict", "embeddings"),
        ("/v1/models/imagen-4:predict", "image_generation"),
        ("/model/amazon.titan-embed-text-v2%3A0/invoke", "embeddings"),
        ("/model/cohere.rerank-v3-5%3A0/invoke", "rerank"),
        ("/model/anthropic.claude-v2/invoke", "chat"),
        ("/v1/fim/completions", "text_completion"),
        ("/v1/agents/completions", "chat"),
        ("/anthropic/v1/messages", "chat"),
    ],
)
def test_the_operation_follows_from_the_path(path: str, operation: str) -> None:
    endpoint = endpoint_of("POST", path)
    assert endpoint is not None
    assert endpoint.operation == operation


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/chat", {"id": "x", "messages": []}),  # a web app's own route, as Vercel's SDK calls it
        ("/api/generate", {"model": "llama", "keep_alive": 0}),  # Ollama unloads it
        ("/v1/messages", {"role": "user", "content": "x"}),
        ("/v1/messages/count_tokens", {"model": "claude", "messages": []}),
        ("/v1/messages/batches", {"requests": []}),
        ("/v1/publishers/anthropic/models/count-tokens:rawPredict", {"model": "c", "messages": []}),
        ("/v1/conversations", {"items": []}),  # OpenAI's
        ("/v1/conversations/conv_1", {"metadata": {}}),
        ("/v1/threads/t1/messages", {"role": "user", "content": "x"}),
        ("/v1beta/models/gemini-2.5-flash:countTokens", {"contents": []}),
        ("/v1beta/cachedContents", {"contents": []}),
        ("/v1/models/churn-model:predict", {"instances": []}),
        ("/model/m/count-tokens", {"input": {}}),
        ("/generate", {"report": "sales"}),
        ("/v1/chat", {"message": "hello", "session_id": "s"}),  # an app's own agent
        ("/v1/generate", {"prompt": "a logo"}),
        ("/interactions", {"input": "click"}),
        ("/v1/predictions", {"game": 7}),
    ],
)
def test_what_only_looks_like_a_request_is_none(path: str, body: dict[str, Any]) -> None:
    endpoint = endpoint_of("POST", path)
    assert endpoint is None or read_sent(endpoint, path, json.dumps(body).encode()) is None


NUMBERS = [[0.25] * 8000] * 3
LARGE: list[tuple[str, Any, int | None]] = [
    ("/v1/embeddings", {"object": "list", "data": NUMBERS, "model": "e", "usage": {"prompt_tokens": 7}}, 7),
    ("/v1beta/models/e:batchEmbedContents", {"embeddings": [{"values": NUMBERS[0]}] * 3}, None),
    (
        "/v1beta/models/e:embedContent",
        {"usageMetadata": {"promptTokenCount": 7}, "embedding": {"values": NUMBERS}},
        7,
    ),
    ("/api/embed", {"model": "e", "embeddings": NUMBERS, "prompt_eval_count": 7}, 7),
    (
        "/v2/embed",
        {"id": "c", "embeddings": {"float": NUMBERS}, "meta": {"billed_units": {"input_tokens": 7}}},
        7,
    ),
    ("/model/amazon.titan-embed/invoke", {"embedding": NUMBERS[0] * 3, "inputTextTokenCount": 7}, 7),
    ("/embed", NUMBERS, None),
]


@pytest.mark.parametrize(("path", "body", "tokens"), LARGE, ids=[row[0] for row in LARGE])
@pytest.mark.parametrize("indent", [None, 1])
def test_large_embeddings_are_read_around_their_numbers(
    path: str, body: Any, tokens: int | None, indent: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    loads = json.loads
    monkeypatch.setattr(values.json, "loads", lambda data: decoded.append(len(data)) or loads(data))
    endpoint = endpoint_of("POST", path)
    assert endpoint is not None
    reader = reader_for(endpoint, "application/json")
    assert reader is not None
    reader.feed(json.dumps(body, indent=indent).encode())
    reader.finish()
    usage = reader.answer.usage
    assert (None if usage is None else usage.input_tokens) == tokens
    assert max(decoded, default=0) < 500


def test_counts_behind_the_numbers_are_not_lost_to_an_array_of_their_own() -> None:
    usage = {"promptTokenCount": 7, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}]}
    body = json.dumps({"embeddings": [{"values": NUMBERS[0]}] * 3, "usageMetadata": usage}).encode()
    example = Example("", "/v1beta/models/e:batchEmbedContents", body, Answer())
    assert read(example, body).answer.usage == Usage(7)


@pytest.mark.parametrize("number", [-1, 2**40, 10**400, 1e300, True, "7", None])
def test_what_is_no_count_or_duration_is_unknown(number: object) -> None:
    said = {
        "model": "m",
        "prompt_eval_count": number,
        "eval_count": 3,
        "total_duration": number,
        "done": True,
    }
    example = Example("", "/api/chat", json.dumps(said).encode(), Answer())
    found = read(example, example.body).answer
    assert found.usage == Usage(None, 3)
    assert found.timings == ServerTimings(total_s=number * 1e-9 if number == 2**40 else None)  # 18 minutes
