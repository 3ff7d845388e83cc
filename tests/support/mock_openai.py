"""OpenAI's wire format for the mock provider: chat completions, completions, responses, embeddings.

Shapes follow https://platform.openai.com/docs/api-reference. Token counts are the provider's own truth.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mock_reply import (
    CACHED_TOKENS,
    OUTPUT_TOKENS,
    REASONING_TOKENS,
    Event,
    Json,
    Reply,
    count_tokens,
    output_tokens,
    server_sent,
)
from mock_tools import asked_calls, chat_tool_calls, response_items

__all__ = ["FORMATS", "OUTPUT_TOKENS", "chat", "completions", "embeddings", "responses"]

CREATED_AT = 1_790_000_000  # Unix seconds; any fixed time

_ids = itertools.count(1)


# A vendor's `usage`, what it adds to a stream's last chunk, and the tokens that both tell beside in and out.
Flavour = tuple[Json, Json, Json]


def _groq(usage: Json) -> Flavour:
    """Its own times in `usage`, which a stream has in `x_groq` (https://console.groq.com/docs/api-reference)."""
    usage = {**usage, "queue_time": 0.01, "prompt_time": 0.02, "completion_time": 0.05, "total_time": 0.07}
    said = {"cached": CACHED_TOKENS, "reasoning": REASONING_TOKENS}
    return usage, {"x_groq": {"id": "req_1", "usage": usage}}, said


def _mistral(usage: Json) -> Flavour:
    """Usage in the last chunk of every stream, and no details of it (https://docs.mistral.ai/api)."""
    usage = {key: value for key, value in usage.items() if not key.endswith("_details")}
    return usage, {"usage": usage}, {}


def _chat_usage(input_tokens: int, output_tokens: int) -> Json:
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": REASONING_TOKENS, "audio_tokens": 0},
    }


def chat(body: Json, path: str, flavour: Callable[[Json], Flavour] | None = None) -> Reply:
    """`/chat/completions`; a request for a JSON schema gets `{"answer": "..."}`, see mock_tools for calls."""
    output, wants = output_tokens(body), body.get("n") or 1
    input_tokens = count_tokens(body.get("messages", []))
    identity = {
        "id": f"chatcmpl-{next(_ids)}",
        "created": CREATED_AT,
        "model": f"{body.get('model', 'm')}-2026",
    }
    content = '{"answer":"yes"}' if "response_format" in body else " ".join(["word"] * output)
    usage = _chat_usage(input_tokens, output * wants)
    said = {"cached": CACHED_TOKENS, "reasoning": REASONING_TOKENS}
    ending: Json = {}
    if flavour is not None:
        usage, ending, said = flavour(usage)
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
    events = _chat_events(identity, output, content, usage if with_usage else None, ending, calls)
    said |= {"answered_by": identity["model"], "finish": [reason] * wants}
    return Reply(whole, events, input_tokens, output * wants, said)


def _chat_events(
    identity: Json, output: int, content: str, usage: Json | None, ending: Json, calls: list[Json]
) -> list[Event]:
    def chunk(choices: list[Json], **more: Any) -> Json:
        empty = {} if usage is None else {"usage": None}
        return {**identity, "object": "chat.completion.chunk", "choices": choices, **empty, **more}

    def choice(delta: Json, reason: str | None = None) -> list[Json]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]

    pieces = [content[i : i + 1] for i in range(len(content))] if content[:1] == "{" else ["word "] * output
    events = [server_sent(chunk(choice({"role": "assistant", "content": ""})))]
    if calls:
        events += [server_sent(chunk(choice({"tool_calls": [call]})), text=True) for call in calls]
    else:
        events += [server_sent(chunk(choice({"content": piece})), text=True) for piece in pieces]
    events.append(server_sent(chunk(choice({}, "tool_calls" if calls else "stop"), **ending)))
    if usage is not None:
        events.append(server_sent(chunk([], usage=usage)))
    events.append(Event(b"data: [DONE]\n\n"))
    return events


def completions(body: Json, path: str) -> Reply:
    """`/completions`, the older text API."""
    output, prompts = output_tokens(body), body.get("prompt", "")
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

    events = [server_sent(chunk("word ", None), text=True) for _ in range(output)]
    events.append(server_sent(chunk("", "length")))
    if (body.get("stream_options") or {}).get("include_usage"):
        events.append(server_sent({**chunk("", "length"), "choices": [], "usage": whole["usage"]}))
    events.append(Event(b"data: [DONE]\n\n"))
    said = {
        "answered_by": identity["model"],
        "finish": ["length"] * len(many),
        "cached": CACHED_TOKENS,
        "reasoning": REASONING_TOKENS,
    }
    return Reply(whole, events, input_tokens, output * len(many), said)


def responses(body: Json, path: str) -> Reply:
    """`/responses`."""
    output, input_tokens = output_tokens(body), count_tokens(body.get("input", ""))
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
    said = {
        "answered_by": identity["model"],
        "finish": ["stop"],
        "cached": CACHED_TOKENS,
        "reasoning": REASONING_TOKENS,
    }
    if calls:
        return Reply(whole, _function_call_events(begun, whole), input_tokens, output, said)
    reply = Reply(whole, _response_events(begun, whole, item, part, output), input_tokens, output, said)
    if not body.get("background"):
        return reply
    later: dict[str, list[Json | str]] = {f"/responses/{identity['id']}": [begun, whole]}
    return replace(reply, body={**begun, "status": "queued"}, later=later)


def _function_call_events(begun: Json, whole: Json) -> list[Event]:
    numbers = itertools.count()

    def event(kind: str, *, generated: bool = False, **more: Any) -> Event:
        return server_sent(
            {"type": kind, "sequence_number": next(numbers), **more}, text=generated, name=kind
        )

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
        return server_sent(
            {"type": kind, "sequence_number": next(numbers), **more}, text=generated, name=kind
        )

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


def groq_chat(body: Json, path: str) -> Reply:
    """Groq's `/openai/v1/chat/completions`."""
    return chat(body, path, _groq)


def mistral_chat(body: Json, path: str) -> Reply:
    """Mistral's `/v1/chat/completions`."""
    return chat(body, path, _mistral)


def mistral_embeddings(body: Json, path: str) -> Reply:
    """Mistral's `/v1/embeddings`, which have an id."""
    reply = embeddings(body, path)
    return replace(reply, body={"id": f"embd-{next(_ids)}", **reply.body})


FORMATS: dict[str, Callable[[Json, str], Reply]] = {
    "/groq/openai/v1/chat/completions": groq_chat,
    "/mistral/v1/chat/completions": mistral_chat,
    "/mistral/models/chat/completions": mistral_chat,  # at Azure
    "/mistral/chat/completions": mistral_chat,  # the same, of mistralai 1.x
    "/mistral/v1/embeddings": mistral_embeddings,
    "/publishers/mistralai/models/m:rawPredict": mistral_chat,
    "/publishers/mistralai/models/m:streamRawPredict": mistral_chat,
    "/chat/completions": chat,
    "/completions": completions,
    "/responses": responses,
    "/embeddings": embeddings,
}
