"""Every recorded call of a model is read as its provider documents it, however its bytes are cut."""

import itertools
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

import recordings
from expected_answers import Expected, expected_answer, reader_of
from fanlight.capture.answer import Answer, Usage
from fanlight.capture.body import AnswerReader, reader_for
from fanlight.capture.endpoints import endpoint_of
from fanlight.capture.providers import provider_of
from fanlight.capture.request import read_sent
from recordings import Exchange

FOLDER = recordings.data_folder()
needs_recordings = pytest.mark.skipif(
    FOLDER is None, reason="no recordings in FANLIGHT_TEST_DATA or ../shared/data (see its README.md)"
)
SMALL_BYTES = 4000  # up to here a body is also fed byte by byte


@pytest.fixture(scope="module")
def exchanges() -> list[Exchange]:
    assert FOLDER is not None
    return [*recordings.recorded_exchanges(FOLDER), *recordings.vercel_fixtures(FOLDER)]


def calls(exchanges: list[Exchange]) -> Iterator[tuple[Exchange, str]]:
    for exchange in exchanges:
        reader = reader_of(exchange.path)
        if reader is not None and exchange.method.upper() == "POST":
            yield exchange, reader


def read(exchange: Exchange, chunks: list[bytes]) -> AnswerReader:
    endpoint = endpoint_of("POST", exchange.path)
    assert endpoint is not None, exchange.path
    reader = reader_for(endpoint, exchange.content_type, exchange.headers.get)
    assert reader is not None, exchange.content_type
    for chunk in chunks:
        reader.feed(chunk)
    reader.finish()
    return reader


def said(answer: Answer) -> Expected:
    usage = answer.usage or Usage()
    return Expected(
        answer.model,
        answer.id,
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
        tuple(answer.finish_reasons.values()),
        answer.error_type,
    )


def random_cuts(body: bytes, dice: random.Random) -> list[bytes]:
    places = sorted({0, len(body), *(dice.randrange(len(body) + 1) for _ in range(12))})
    return [body[a:b] for a, b in itertools.pairwise(places)]


@needs_recordings
def test_every_recorded_call_is_read_right(
    exchanges: list[Exchange], capsys: pytest.CaptureFixture[str]
) -> None:
    tried: Counter[str] = Counter()
    wrong: dict[str, list[object]] = {}
    for exchange, reader in calls(exchanges):
        endpoint = endpoint_of("POST", exchange.path)
        assert endpoint is not None, exchange.path
        provider = exchange.provider or provider_of(exchange.host, endpoint.format.provider)
        tried[provider] += 1
        expected = (
            expected_answer(reader, exchange.status, exchange.headers, exchange.body)
            if exchange.body
            else Expected()
        )
        found = said(read(exchange, [exchange.body]).answer)
        if found != expected:
            wrong.setdefault(provider, []).append((exchange.name, exchange.path, expected, found))
    with capsys.disabled():
        print(f"\n{'provider':<24}{'tried':>7}{'right':>7}")
        for provider, count in sorted(tried.items()):
            print(f"{provider:<24}{count:>7}{count - len(wrong.get(provider, [])):>7}")
    assert wrong == {}, [row for rows in wrong.values() for row in rows[:3]]
    assert sum(tried.values()) > 1700


# Read by eye from the recordings: so that a mistake of the slow reading, repeated in the fast one, shows.
READ_BY_EYE = {
    "test_anthropic_instrumentation_messages_token_counts.yaml[1]": Expected(
        "claude-3-7-sonnet-20250219", "msg_013DqfNvyw9TE1JkWYnBBoYw", 21 + 1733, 568, 1733, 0
    ),
    "test_completion_streaming_with_extended_thinking_anthropic.yaml[0]": Expected(
        "claude-sonnet-4-5-20250929", "msg_011CczWGT3dwkD69UXMpZ9ak", 50, 93, 0, 0, 53
    ),
    "test_google_adk_instrumentor_code_execution_token_counts.yaml[0]": Expected(
        "gemini-2.5-flash", "_TJPaqb9Ebm8jrEPzv2B4Qg", 75 + 573, 414 + 117, None, None, 117
    ),
    "test_gemini_token_counts.yaml[0]": Expected(
        "gemini-2.5-flash", "oONFafbBIrrygLUP36rmIA", 11, 17 + 190, None, None, 190
    ),
    "TestTokenCounts.test_groq.yaml[0]": Expected(
        "llama3-8b-8192", "chatcmpl-1129f181-aa34-4fd9-be3d-0e9889cbd109", 12, 26
    ),
    "test_openai_include_raw_annotations_streaming.yaml[0]": Expected(
        "gpt-5.2-2025-12-11",
        "resp_0a4bc5e23769d65c00696d5e657050819db65effaff8424729",
        12243,
        140,
        0,
        None,
        100,
    ),
    "test_azure/test_chat.yaml[0]": Expected(
        "gpt-35-turbo", "chatcmpl-9HpbZPf84KZFiQG6fdY0KVtIwHyIa", 15, 24
    ),
    "test_tool_choice_matrix[auto-mistral].yaml[0]": Expected("mistral-large-latest", None, 77, 12, 76),
    "test_cohere_chat_legacy_with_streaming_async.yaml[0]": Expected(None, None, 69, 150),
    "test_ollama_async_streaming_chat_legacy.yaml[0]": Expected("llama3", None, 17, 63),
    "test_ollama_async_generation_legacy.yaml[0]": Expected("llama3", None, None, 38),
    "test_generate_interactions_async[True].yaml[0]": Expected(
        "gemini-2.5-flash", None, 9, 13 + 220, 0, None, 220
    ),
    "test_hf_model_instructions.yaml[0]": Expected(
        "deepseek-ai/DeepSeek-R1", "oV1mrRW-28Eivz-9c4b14db295620a5", 16, 216, 0
    ),
    "test_invoke_model_no_content[mistral.mistral].yaml[0]": Expected(None, None, 6, 10),
    "test_invoke_model_with_response_stream_no_content_tool_call[anthropic.claude].yaml[0]": Expected(
        "claude-3-5-sonnet-20240620", "msg_bdrk_01KDXVrZohbHE2pHPdzVFfC7", 392, 133
    ),
}


@needs_recordings
@pytest.mark.parametrize("name", READ_BY_EYE)
def test_what_was_read_by_eye_is_what_is_read(exchanges: list[Exchange], name: str) -> None:
    (exchange,) = [exchange for exchange, _ in calls(exchanges) if exchange.name.endswith(name)]
    found, seen = said(read(exchange, [exchange.body]).answer), READ_BY_EYE[name]
    identity = found.id if seen.id is None else seen.id
    assert replace(found, finish_reasons=()) == replace(seen, id=identity)


@needs_recordings
def test_a_recorded_answer_may_be_cut_anywhere(exchanges: list[Exchange]) -> None:
    dice = random.Random(7)
    for exchange, _ in calls(exchanges):
        body = exchange.body
        cuts = [random_cuts(body, dice), [body[i : i + 1000] for i in range(0, len(body), 1000)]]
        if len(body) <= SMALL_BYTES:
            cuts.append([body[i : i + 1] for i in range(len(body))])
        whole = read(exchange, [body])
        for chunks in cuts:
            found = read(exchange, chunks)
            assert (found.answer, found.content_events, found.content_bytes, found.done) == (
                whole.answer,
                whole.content_events,
                whole.content_bytes,
                whole.done,
            ), exchange.name


@needs_recordings
def test_a_recorded_request_says_what_it_asks_for(exchanges: list[Exchange]) -> None:
    asked_models = 0
    for exchange, _ in calls(exchanges):
        if not exchange.sent:
            continue
        endpoint = endpoint_of("POST", exchange.path)
        assert endpoint is not None
        asked = read_sent(endpoint, exchange.path, exchange.sent)
        assert asked is not None, (exchange.name, exchange.sent[:200])
        body = json.loads(exchange.sent)
        in_path = re.search(r"/(?:deployments|models?)/([^/:]+)", exchange.path.replace("%3A", ""))
        model = body.get("model") or body.get("agent") or (in_path and in_path[1])
        assert (asked.model or "").replace(":", "") == (model or "").replace(":", ""), exchange.name
        asked_models += model is not None
        streams = body.get("stream", exchange.path.startswith(("/api/chat", "/api/generate")))
        assert asked.stream == (streams is True or "stream" in exchange.path.lower()), exchange.name
    assert asked_models > 1500


@needs_recordings
def test_every_exchange_that_the_index_calls_one_was_tried(exchanges: list[Exchange]) -> None:
    tried = {exchange.name for exchange, _ in calls(exchanges)}
    left = {exchange.path for exchange in exchanges if exchange.api != "other" and exchange.name not in tried}
    no_calls = re.compile(r"count_tokens$|input_tokens$|/threads/\w+/messages$|/responses/resp_\w+$")
    assert [path for path in left if not no_calls.search(path)] == []


@needs_recordings
def test_what_is_no_call_is_not_taken_for_one(exchanges: list[Exchange]) -> None:
    others = [
        exchange for exchange in exchanges if reader_of(exchange.path) is None or exchange.method == "GET"
    ]
    assert len(others) > 200
    for exchange in others:
        endpoint = endpoint_of(exchange.method, exchange.path)
        if endpoint is not None:
            assert read_sent(endpoint, exchange.path, exchange.sent) is None, (exchange.name, exchange.path)
