"""The messages of a request and the text of an answer, out of the bodies of every wire format."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.capture import content
from fanlight.capture.content import GeneratedText, Keeper


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "content": content}


def cut(messages: int) -> dict[str, Any]:
    return {"type": "fanlight.cut", "messages": messages}


TOOL_CALL = {"type": "tool_call", "name": "search", "arguments": '{"q":"rain"}'}
IMAGE = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        # https://platform.openai.com/docs/api-reference/chat/create
        (
            {
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "Look:"},
                            {"type": "image_url", "image_url": {"url": IMAGE}},
                        ],
                    },
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {
                                "id": "c",
                                "type": "function",
                                "function": {"name": "search", "arguments": '{"q":"rain"}'},
                            }
                        ],
                    },
                    {"role": "tool", "tool_call_id": "c", "content": "It rains."},
                ]
            },
            [
                {"role": "system", "parts": [text("Be brief.")]},
                {"role": "user", "parts": [text("Look:"), {"type": "image_url"}]},
                {"role": "assistant", "parts": [TOOL_CALL]},
                {"role": "tool", "parts": [text("It rains.")]},
            ],
        ),
        ({"input": "One line."}, [{"role": "user", "parts": [text("One line.")]}]),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]},
            [{"role": "user", "parts": [text("Hi")]}],
        ),
        # https://docs.anthropic.com/en/api/messages
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
                    {
                        "role": "assistant",
                        "content": [
                            {"type": "tool_use", "id": "t", "name": "search", "input": {"q": "rain"}}
                        ],
                    },
                    {
                        "role": "user",
                        "content": [{"type": "tool_result", "tool_use_id": "t", "content": "It rains."}],
                    },
                ]
            },
            [
                {"role": "user", "parts": [text("Hi")]},
                {"role": "assistant", "parts": [{**TOOL_CALL, "arguments": '{"q": "rain"}'}]},
                {"role": "user", "parts": [text("It rains.")]},
            ],
        ),
        # https://ai.google.dev/api/generate-content
        (
            {
                "contents": [
                    {
                        "role": "user",
                        "parts": [{"text": "Hi"}, {"inlineData": {"mimeType": "image/png", "data": "iVBO"}}],
                    },
                    {"role": "model", "parts": [{"functionCall": {"name": "search", "args": {"q": "rain"}}}]},
                ]
            },
            [
                {"role": "user", "parts": [text("Hi"), {"type": "inlineData"}]},
                {"role": "model", "parts": [{**TOOL_CALL, "arguments": '{"q": "rain"}'}]},
            ],
        ),
        # https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
        (
            {
                "messages": [
                    {"role": "user", "content": [{"text": "Hi"}]},
                    {
                        "role": "assistant",
                        "content": [
                            {"toolUse": {"toolUseId": "t", "name": "search", "input": {"q": "rain"}}}
                        ],
                    },
                ]
            },
            [
                {"role": "user", "parts": [text("Hi")]},
                {"role": "assistant", "parts": [{**TOOL_CALL, "arguments": '{"q": "rain"}'}]},
            ],
        ),
        ({"prompt": "Once"}, [{"role": "user", "parts": [text("Once")]}]),
        ({"model": "m"}, []),
    ],
    ids=["openai chat", "input", "openai responses", "anthropic", "gemini", "bedrock", "prompt", "none"],
)
def test_messages_are_in_the_conventions_shape_without_files(
    body: dict[str, Any], messages: list[Any]
) -> None:
    assert content.input_messages(body, Keeper(1_000)) == messages


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ({"system": "Be brief."}, [text("Be brief.")]),
        ({"system": [{"type": "text", "text": "Be"}, {"text": "brief"}]}, [text("Be"), text("brief")]),
        ({"systemInstruction": {"parts": [{"text": "Be brief."}]}}, [text("Be brief.")]),
        ({"instructions": "Be brief."}, [text("Be brief.")]),
        ({}, []),
    ],
)
def test_instructions_stand_beside_the_messages(body: dict[str, Any], parts: list[Any]) -> None:
    assert content.instructions(body, Keeper(1_000)) == parts


def test_all_texts_together_keep_to_the_limit_and_a_cut_is_seen() -> None:
    body = {
        "messages": [
            {"role": "user", "content": "a" * 6},
            {"role": "user", "content": "b" * 6},
            {"content": "c"},
        ]
    }
    messages = content.input_messages(body, Keeper(10))
    assert [message["parts"] for message in messages] == [[text("a" * 6)], [text("bbb…"), cut(1)]]


def test_a_message_of_more_parts_than_there_is_room_for_is_cut_among_its_parts() -> None:
    body = {"messages": [{"role": "user", "content": [{"type": "image_url"}] * 9_999}, {"content": "c"}]}
    (message,) = content.input_messages(body, Keeper(1_000, None, 10_000))
    parts = message["parts"]
    assert isinstance(parts, list)
    assert 300 < len(parts) < 500  # of 21 bytes and a comma each
    assert parts[:-1] == [{"type": "image_url"}] * (len(parts) - 1)
    assert parts[-1] == cut(1)


def test_instructions_that_are_cut_say_so() -> None:
    assert content.instructions({"system": "Be brief."}, Keeper(4)) == [text("Be …"), cut(0)]


def test_what_is_redacted_is_redacted_before_it_is_cut() -> None:
    def redact(said: str) -> str | None:
        return None if "secret" in said else said.replace("4111 1111", "[card]")

    body = {"messages": [{"content": "pay with 4111 1111"}, {"content": "my secret"}]}
    messages = content.input_messages(body, Keeper(15, redact))
    assert [message["parts"] for message in messages] == [[text("pay with [card]")], [text("")]]


def test_what_is_left_out_is_not_even_redacted() -> None:
    asked: list[str] = []

    def redact(said: str) -> str:
        asked.append(said)
        return said

    body = {"messages": [{"content": str(number)} for number in range(5_000)]}
    content.input_messages(body, Keeper(3, redact))
    assert asked == ["0", "1", "2", "3"]


def test_generated_text_is_found_wherever_a_format_has_it() -> None:
    chat = {"choices": [{"message": {"content": "Rain", "tool_calls": [{"function": {"arguments": "{}"}}]}}]}
    assert list(content.generated_text(chat, ("content", "arguments"))) == ["Rain", "{}"]
    gemini = {"candidates": [{"content": {"parts": [{"text": "Ra"}, {"text": "in"}]}}]}
    assert list(content.generated_text(gemini, ("text",))) == ["Ra", "in"]


def gathered(pieces: list[str], limit_bytes: int) -> GeneratedText:
    said = GeneratedText(limit_bytes)
    for piece in pieces:
        said.add(json.dumps(piece)[1:-1].encode())
    return said


@given(st.lists(st.text(min_size=1)))
def test_pieces_of_json_text_come_back_as_they_were_said(pieces: list[str]) -> None:
    said = gathered(pieces, 2**20)
    assert str(said) == "".join(pieces)
    assert not said.cut


@given(st.lists(st.text(min_size=1)), st.integers(0, 200))
def test_of_a_long_answer_its_beginning_is_held_and_no_more(pieces: list[str], limit_bytes: int) -> None:
    said, whole = gathered(pieces, limit_bytes), "".join(pieces)
    assert whole.startswith(str(said))
    assert len(json.dumps(str(said))) - 2 <= limit_bytes
    assert said.cut is (str(said) != whole)


def test_a_stream_without_end_is_held_up_to_the_limit() -> None:
    said = GeneratedText()
    piece = b"a" * 1_000
    tracemalloc.start()
    for _ in range(20_000):
        said.add(piece)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 2 * content.MAX_GENERATED_BYTES
    (message,) = content.output_messages(said, Keeper(10**9, None, 10**9))
    parts = message["parts"]
    assert isinstance(parts, list)
    assert len(parts[0]["content"]) > content.MAX_GENERATED_BYTES - 1_000
    assert parts[1:] == [cut(0)]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["messages", "content", "role", "parts", "text"]), inner)
    ),
)


@given(st.dictionaries(st.sampled_from(["messages", "input", "system", "prompt"]), JSON))
def test_no_body_raises(body: dict[str, Any]) -> None:
    json.loads(content.as_json(content.input_messages(body, Keeper(50))))
    json.loads(content.as_json(content.instructions(body, Keeper(50))))


def cut_parts(messages: list[Any]) -> list[int]:
    parts = [part for message in messages for part in message["parts"]]
    return [part["messages"] for part in parts if part["type"] == "fanlight.cut"]


TEXTS = st.text(min_size=1, max_size=40) | st.text(min_size=1, max_size=3).map(lambda piece: piece * 100)
HISTORY = st.lists(st.fixed_dictionaries({"role": st.text(max_size=9), "content": TEXTS}), max_size=40)


@given(HISTORY, st.integers(1, 2_000), st.integers(512, 4_096))
def test_however_long_a_history_is_its_attribute_is_json_of_no_more_bytes(
    history: list[dict[str, str]], limit_chars: int, limit_bytes: int
) -> None:
    written = content.as_json(
        content.input_messages({"messages": history}, Keeper(limit_chars, None, limit_bytes))
    )
    assert len(written.encode("utf-8", "replace")) <= limit_bytes
    messages = json.loads(written)
    whole = [{"role": one["role"], "parts": [text(one["content"])]} for one in history]
    left_out = cut_parts(messages)
    if not left_out:
        assert messages == whole
        return
    assert left_out == [len(history) - len(messages)]
    assert messages[:-1] == whole[: len(messages) - 1]
    for part in messages[-1]["parts"][:-1]:
        assert history[len(messages) - 1]["content"].startswith(part["content"].removesuffix("…"))
