"""OpenAI's wire format for the mock provider: chat completions, completions, responses, embeddings.

Shapes follow https://platform.openai.com/docs/api-reference. Token counts are the provider's own truth.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mock_tools import asked_calls, chat_tool_calls, response_items

Json = dict[str, Any]
OUTPUT_TOKENS = 25
CACHED_TOKENS = 3
REASONING_TOKENS = 5
CREATED_AT = 1_790_000_000  # Unix seconds; any fixed time

_ids = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event; `text` is True where it carries one generated token."""

    data: bytes
    text: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, the same as a stream, and what it costs."""

    body: Json
    events: list[Event] = field(default_factory=list)
    input_tokens: int = 0
    output_tokens: int = 0


def count_tokens(value: object) -> int:
    """One token a word, and four a message: any rule will do that only the provider knows."""
    if isinstance(value, str):
        return len(value.split())
    if isinstance(value, list):
        return sum(count_tokens(item) + (4 if isinstance(item, dict) else 0) for item in value)
    if isinstance(value, dict):
        return count_tokens(value.get("content", value.get("text", "")))
    return 1


def _event(value: Json, *, text: bool = False, name: str | None = None) -> Event:
    head = f"event: {name}\n" if name else ""
    return Event(f"{head}data: {json.dumps(value, separators=(',', ':'))}\n\n".encode(), text)


def _chat_usage(input_tokens: int, output_tokens: int) -> Json:
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": REASONING_TOKENS, "audio_tokens": 0},
    }


def _output_tokens(body: Json) -> int:
    for key in ("max_completion_tokens", "max_tokens", "max_output_tokens"):
        if isinstance(body.get(key), int):
            return min(OUTPUT_TOKENS, body[key])
    return OUTPUT_TOKENS


def chat(body: Json, path: str) -> Reply:
    """`/chat/completions`; a request for a JSON schema gets `{"answer": "..."}`, see mock_tools for calls."""
    output, wants = _output_tokens(body), body.get("n") or 1
    input_tokens = count_tokens(body.get("messages", []))
    identity = {
        "id": f"chatcmpl-{next(_ids)}",
        "created": CREATED_AT,
        "model": f"{body.get('model', 'm')}-2026",
    }
    content = '{"answer":"yes"}' if "response_format" in body else " ".join(["word"] * output)
    usage = _chat_usage(input_tokens, output * wants)
    message: Json = {"role": "assistant", "content": content, "refusal": None}
    calls = chat_tool_calls(asked_calls(body))
    if calls:
        message = {**message, "content": None, "tool_calls": calls}
    reason = "tool_calls" if calls else "stop"
    choices = [
        {"index": i, "message": message, "logprobs": None, "finish_reason": reason} for i in range(wants)
    ]
    whole = {**identity, "object": "chat.completion", "choices": choices, "usage": usage}
    with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    events = _chat_events(identity, output, content, usage if with_usage else None, calls)
    return Reply(whole, events, input_tokens, output * wants)


def _chat_events(
    identity: Json, output: int, content: str, usage: Json | None, calls: list[Json]
) -> list[Event]:
    def chunk(choices: list[Json], **more: Any) -> Json:
        empty = {} if usage is None else {"usage": None}
        return {**identity, "object": "chat.completion.chunk", "choices": choices, **empty, **more}

    def choice(delta: Json, reason: str | None = None) -> list[Json]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]

    pieces = [content[i : i + 1] for i in range(len(content))] if content[:1] == "{" else ["word "] * output
    events = [_event(chunk(choice({"role": "assistant", "content": ""})))]
    if calls:
        events += [_event(chunk(choice({"tool_calls": [call]})), text=True) for call in calls]
    else:
        events += [_event(chunk(choice({"content": piece})), text=True) for piece in pieces]
    events.append(_event(chunk(choice({}, "tool_calls" if calls else "stop"))))
    if usage is not None:
        events.append(_event(chunk([], usage=usage)))
    events.append(Event(b"data: [DONE]\n\n"))
    return events


def completions(body: Json, path: str) -> Reply:
    """`/completions`, the older text API."""
    output, prompts = _output_tokens(body), body.get("prompt", "")
    many = prompts if isinstance(prompts, list) else [prompts]
    input_tokens = count_tokens(many)
    identity = {"id": f"cmpl-{next(_ids)}", "created": CREATED_AT, "model": body.get("model", "m")}
    usage = _chat_usage(input_tokens, output * len(many))
    choices = [
        {"index": i, "text": "word", "logprobs": None, "finish_reason": "length"} for i in range(len(many))
    ]
    whole = {**identity, "object": "text_completion", "choices": choices, "usage": usage}

    def chunk(text: str, reason: str | None) -> Json:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": reason}
        return {**identity, "object": "text_completion", "choices": [choice]}

    events = [_event(chunk("word ", None), text=True) for _ in range(output)]
    events += [_event(chunk("", "length")), Event(b"data: [DONE]\n\n")]
    return Reply(whole, events, input_tokens, output * len(many))


def responses(body: Json, path: str) -> Reply:
    """`/responses`."""
    output, input_tokens = _output_tokens(body), count_tokens(body.get("input", ""))
    content = '{"answer":"yes"}' if "text" in body else " ".join(["word"] * output)
    identity = {
        "id": f"resp_{next(_ids)}",
        "object": "response",
        "created_at": CREATED_AT,
        "model": f"{body.get('model', 'm')}-2026",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
    }
    usage = {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": CACHED_TOKENS},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": REASONING_TOKENS},
        "total_tokens": input_tokens + output,
    }
    part = {"type": "output_text", "text": content, "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    calls = response_items(asked_calls(body))
    whole = {**identity, "status": "completed", "output": calls or [item], "usage": usage}
    begun = {**identity, "status": "in_progress", "output": [], "usage": None}
    if calls:
        return Reply(whole, _function_call_events(begun, whole), input_tokens, output)
    return Reply(whole, _response_events(begun, whole, item, part, output), input_tokens, output)


def _function_call_events(begun: Json, whole: Json) -> list[Event]:
    numbers = itertools.count()

    def event(kind: str, *, generated: bool = False, **more: Any) -> Event:
        return _event({"type": kind, "sequence_number": next(numbers), **more}, text=generated, name=kind)

    events = [event("response.created", response=begun)]
    for index, item in enumerate(whole["output"]):
        place = {"item_id": item["id"], "output_index": index}
        started = {**item, "status": "in_progress", "arguments": ""}
        arguments = item["arguments"]
        events += [
            event("response.output_item.added", output_index=index, item=started),
            event("response.function_call_arguments.delta", generated=True, **place, delta=arguments),
            event("response.function_call_arguments.done", **place, name=item["name"], arguments=arguments),
            event("response.output_item.done", output_index=index, item=item),
        ]
    return [*events, event("response.completed", response=whole)]


def _response_events(begun: Json, whole: Json, item: Json, part: Json, output: int) -> list[Event]:
    numbers = itertools.count()

    def event(kind: str, *, generated: bool = False, **more: Any) -> Event:
        return _event({"type": kind, "sequence_number": next(numbers), **more}, text=generated, name=kind)

    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    started = {**item, "status": "in_progress", "content": []}
    pieces = [part["text"]] if part["text"][:1] == "{" else ["word "] * output
    return [
        event("response.created", response=begun),
        event("response.in_progress", response=begun),
        event("response.output_item.added", output_index=0, item=started),
        event("response.content_part.added", **place, part={**part, "text": ""}),
        *(event("response.output_text.delta", generated=True, **place, delta=p, logprobs=[]) for p in pieces),
        event("response.output_text.done", **place, text=part["text"], logprobs=[]),
        event("response.content_part.done", **place, part=part),
        event("response.output_item.done", output_index=0, item=item),
        event("response.completed", response=whole),
    ]


def embeddings(body: Json, path: str) -> Reply:
    """`/embeddings`, base64 (what the SDK asks for) or floats."""
    given = body.get("input", "")
    many = given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]
    input_tokens = count_tokens(many)
    vector: object = "AACAPwAAgD8=" if body.get("encoding_format") == "base64" else [1.0, 1.0]
    data = [{"object": "embedding", "index": i, "embedding": vector} for i in range(len(many))]
    usage = {"prompt_tokens": input_tokens, "total_tokens": input_tokens}
    whole = {"object": "list", "data": data, "model": body.get("model", "m"), "usage": usage}
    return Reply(whole, [], input_tokens, 0)


FORMATS: dict[str, Callable[[Json, str], Reply]] = {
    "/chat/completions": chat,
    "/completions": completions,
    "/responses": responses,
    "/embeddings": embeddings,
}
