"""The messages of a request and the text of an answer, out of the bodies of every wire format."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.capture import content
from fanlight.capture.content import Keeper


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "content": content}


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
    assert [message["parts"] for message in messages] == [[text("a" * 6)], [text("bbb…")], [text("")]]


def test_what_is_redacted_is_redacted_before_it_is_cut() -> None:
    def redact(said: str) -> str | None:
        return None if "secret" in said else said.replace("4111 1111", "[card]")

    body = {"messages": [{"content": "pay with 4111 1111"}, {"content": "my secret"}]}
    messages = content.input_messages(body, Keeper(15, redact))
    assert [message["parts"] for message in messages] == [[text("pay with [card]")], [text("")]]


def test_generated_text_is_found_wherever_a_format_has_it() -> None:
    chat = {"choices": [{"message": {"content": "Rain", "tool_calls": [{"function": {"arguments": "{}"}}]}}]}
    assert list(content.generated_text(chat, ("content", "arguments"))) == ["Rain", "{}"]
    gemini = {"candidates": [{"content": {"parts": [{"text": "Ra"}, {"text": "in"}]}}]}
    assert list(content.generated_text(gemini, ("text",))) == ["Ra", "in"]


@given(st.lists(st.text(min_size=1)))
def test_pieces_of_json_text_come_back_as_they_were_said(pieces: list[str]) -> None:
    written = [json.dumps(piece)[1:-1].encode() for piece in pieces]
    assert content.unescaped(written) == "".join(pieces)


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
