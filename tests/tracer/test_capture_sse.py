"""The stream reader sees the same in any cut of the bytes, and decodes only what says something new."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mock_openai
from fanlight.capture import events, sse
from fanlight.capture.answer import Usage
from fanlight.capture.formats import openai
from fanlight.capture.sse import StreamReader

FORMATS = {"chat": openai.CHAT, "completions": openai.COMPLETIONS, "responses": openai.RESPONSES}
CHAT = {"model": "m", "messages": [{"role": "user", "content": "one two"}]}


def read(shape: str, *chunks: bytes) -> StreamReader:
    reader = StreamReader(FORMATS[shape])
    for chunk in chunks:
        reader.feed(chunk)
    reader.finish()
    return reader


def chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return b"data: " + json.dumps({"id": "c", "model": "m", "choices": [choice], **more}).encode() + b"\n\n"


def stream_of(shape: str) -> bytes:
    body = {**CHAT, "stream_options": {"include_usage": True}}
    reply = {
        "chat": lambda: mock_openai.chat(body, ""),
        "completions": lambda: mock_openai.completions({"model": "m", "prompt": "one"}, ""),
        "responses": lambda: mock_openai.responses({"model": "m", "input": "one"}, ""),
    }[shape]()
    return b"".join(event.data for event in reply.events)


@pytest.mark.parametrize("shape", ["chat", "completions", "responses"])
@given(cuts=st.lists(st.integers(0, 8000), max_size=30), data=st.data())
def test_a_stream_may_be_cut_anywhere(shape: str, cuts: list[int], data: st.DataObject) -> None:
    whole = stream_of(shape)
    newline = data.draw(st.sampled_from([b"\n", b"\r\n"]))
    whole = whole.replace(b"\n", newline)
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    pieces = [whole[a:b] for a, b in itertools.pairwise(places)]
    once, cut = read(shape, whole), read(shape, *pieces)
    assert once.content_events == cut.content_events == mock_openai.OUTPUT_TOKENS
    assert once.content_bytes == cut.content_bytes == len("word ") * mock_openai.OUTPUT_TOKENS
    assert once.answer == cut.answer
    assert once.done
    assert cut.done
    if shape != "completions":
        assert cut.answer.usage is not None
        assert cut.answer.usage.output_tokens == mock_openai.OUTPUT_TOKENS


@st.composite
def said(draw: st.DrawFn) -> dict[str, Any]:
    """An event of chat completions; short words, so that many are alike but for them."""
    key = draw(st.sampled_from(["content", "content", "content", "reasoning_content"]))
    text = draw(
        st.one_of(st.sampled_from(["", "a", "usage", "finish_reason", '"', "\\"]), st.text(max_size=3))
    )
    reason = draw(st.sampled_from([None] * 9 + ["stop"]))
    tokens = draw(st.sampled_from([None] * 9 + [1, 2, 30]))
    usage = None if tokens is None else {"prompt_tokens": 3, "completion_tokens": tokens}
    choice = {"index": 0, "delta": {key: text}, "finish_reason": reason}
    padding = draw(
        st.sampled_from([{}, {}, {"obfuscation": "x"}, {"obfuscation": "xyz"}, {"obfuscation": ""}])
    )
    return {"id": "c", "model": "m", "choices": [choice], "usage": usage, **padding}


@given(events=st.lists(said(), max_size=40), compact=st.booleans(), at_once=st.booleans())
def test_events_that_are_alike_say_what_each_says(
    events: list[dict[str, Any]], compact: bool, at_once: bool
) -> None:
    separators = (",", ":") if compact else None
    chunks = [b"data: " + json.dumps(event, separators=separators).encode() + b"\n\n" for event in events]
    reader = read("chat", *([b"".join(chunks)] if at_once else chunks))
    choices = [event["choices"][0] for event in events]
    texts = [text for choice in choices for text in choice["delta"].values() if text]
    assert reader.content_events == len(texts)
    assert reader.content_bytes == sum(len(json.dumps(text)) - 2 for text in texts)
    reasons = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    assert reader.answer.finish_reasons == ({0: reasons[-1]} if reasons else {})
    counts = [event["usage"]["completion_tokens"] for event in events if event["usage"]]
    assert reader.answer.usage == (Usage(3, counts[-1]) if counts else None)


def test_only_news_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    monkeypatch.setattr(events.json, "loads", lambda data: decoded.append(data) or {"id": "c"})
    read("chat", chunk({"role": "assistant", "content": ""}), *[chunk({"content": "x"})] * 100)
    assert len(decoded) == 1


@pytest.mark.parametrize("key", ["content", "reasoning_content", "reasoning", "refusal"])
def test_every_kind_of_text_counts(key: str) -> None:
    reader = read("chat", chunk({"role": "assistant"}), *[chunk({key: "abc"})] * 7)
    assert (reader.content_events, reader.content_bytes) == (7, 21)


def test_tool_arguments_count() -> None:
    call = {"index": 0, "id": "t", "function": {"name": "f", "arguments": '{"a":'}}
    reader = read("chat", *[chunk({"content": None, "tool_calls": [call]})] * 3)
    assert reader.content_events == 3


def test_reasoning_and_then_text_count_once_each() -> None:
    thoughts = [chunk({"content": "", "reasoning_content": "hm"})] * 3
    text = [chunk({"content": "yes", "reasoning_content": ""})] * 2
    assert read("chat", *thoughts, *text).content_events == 5


def test_escaped_quotes_are_text() -> None:
    tricky = 'say "usage": {"finish_reason": "stop"} \\'
    reader = read("chat", chunk({"content": "a"}), chunk({"content": tricky}), chunk({"content": "b"}))
    assert reader.content_events == 3
    assert reader.content_bytes == 2 + len(json.dumps(tricky)) - 2
    assert reader.answer.finish_reasons == {}
    assert reader.answer.usage is None


def test_text_with_a_finish_reason_is_both() -> None:
    reader = read("chat", chunk({"content": "a"}), chunk({"content": "b"}, "length"))
    assert reader.content_events == 2
    assert reader.answer.finish_reasons == {0: "length"}


def test_usage_in_every_event_is_the_latest() -> None:
    def counted(tokens: int) -> bytes:
        return chunk({"content": "x"}, usage={"prompt_tokens": 3, "completion_tokens": tokens})

    assert read("chat", *map(counted, (1, 2, 3))).answer.usage == Usage(3, 3)


def test_an_error_in_the_stream_is_seen() -> None:
    reader = read("chat", chunk({"content": "x"}), b'data: {"error":{"type":"server_error"}}\n\n')
    assert reader.answer.error_type == "server_error"


@pytest.mark.parametrize("before", [b"", b": ping\n\n"])
def test_an_error_without_its_frame_is_seen_alone_and_behind_others(before: bytes) -> None:
    reader = read("chat", before + b'{"error":{"type":"server_error"}}\n\n')
    assert reader.answer.error_type == "server_error"


def test_a_failed_response_is_seen() -> None:
    failed = {"id": "r", "object": "response", "status": "failed", "error": {"code": "rate_limit"}}
    event = {"type": "response.failed", "response": failed}
    reader = read("responses", b"data: " + json.dumps(event).encode() + b"\n\n")
    assert reader.done
    assert reader.answer.error_type == "rate_limit"
    assert reader.answer.finish_reasons == {0: "failed"}


def test_a_last_line_without_its_end_is_read() -> None:
    assert read("chat", chunk({"content": "x"}), b"data: [DONE]").done


def test_what_is_no_event_is_nothing() -> None:
    reader = read(
        "chat", b": ping\n\n", b"event: x\nid: 7\n\n", b"data: {broken\n\n", b"data: 7\n\n", b"\n", b""
    )
    assert (reader.content_events, reader.done) == (0, False)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 1000)
    reader = StreamReader(openai.CHAT)
    reader.feed(chunk({"content": "x"}))
    for _ in range(100):
        reader.feed(b"data: " + b"y" * 100)
    assert sum(map(len, reader._partial)) <= 1000
    reader.feed(b"\n\n" + chunk({"content": "z"}))
    assert reader.content_events == 2
