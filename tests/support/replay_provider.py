"""An OpenAI-compatible server that answers each call of a recorded session with its recorded token counts.

    python tests/support/replay_provider.py FOLDER [--speed 10000]

The prompt of a request is the key of its call (`weka.Call.key`), with which the server finds the recording.
It speaks chat completions and responses, plain and streamed, takes the recorded time divided by `--speed`,
and prints the port that it listens on as its first line.
"""

import argparse
import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

import weka

Json = dict[str, Any]
Send = Callable[[Json], Awaitable[None]]
Receive = Callable[[], Awaitable[Json]]

CREATED_AT = 1_790_000_000  # Unix seconds; any fixed time
PIECES = ("recorded ", "answer ", "text")
TEXT = "".join(PIECES)


@dataclass(frozen=True, slots=True)
class ReplayProvider:
    """The ASGI application: recorded calls by key, and how much faster than recorded they are answered."""

    calls: Mapping[str, weka.Call]
    speed: float

    async def __call__(self, scope: Json, receive: Receive, send: Send) -> None:
        asked = json.loads(await _body(receive))
        is_chat = scope["path"].endswith("/chat/completions")
        call = self.calls.get(asked["messages"][0]["content"] if is_chat else asked["input"])
        if call is None:
            await _send(send, 404, b"application/json", [b'{"error": {"message": "no such recorded call"}}'])
            return
        await asyncio.sleep(call.duration_s / self.speed)
        if asked.get("stream"):
            events = _chat_events(call, asked) if is_chat else _response_events(call)
            await _send(send, 200, b"text/event-stream", events)
        else:
            answer = _chat(call) if is_chat else _response(call, "completed")
            await _send(send, 200, b"application/json", [json.dumps(answer).encode()])


def _chat_usage(call: weka.Call) -> Json:
    return {
        "prompt_tokens": call.input_tokens,
        "completion_tokens": call.output_tokens,
        "total_tokens": call.input_tokens + call.output_tokens,
        "prompt_tokens_details": {"cached_tokens": call.cached_tokens},
    }


def _chat(call: weka.Call) -> Json:
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "finish_reason": _finish_reason(call), "message": message}
    return {**_chat_head(call, "chat.completion"), "choices": [choice], "usage": _chat_usage(call)}


def _chat_events(call: weka.Call, asked: Json) -> Iterator[bytes]:
    head = _chat_head(call, "chat.completion.chunk")
    deltas: list[Json] = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in PIECES)]
    for delta in deltas:
        yield _event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    yield _event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": _finish_reason(call)}]})
    if (asked.get("stream_options") or {}).get("include_usage"):
        yield _event({**head, "choices": [], "usage": _chat_usage(call)})
    yield b"data: [DONE]\n\n"


def _chat_head(call: weka.Call, kind: str) -> Json:
    return {"id": f"chatcmpl-{call.key}", "object": kind, "created": CREATED_AT, "model": call.model}


def _finish_reason(call: weka.Call) -> str:
    return "tool_calls" if call.used_tools else "stop"


def _response(call: weka.Call, status: str) -> Json:
    content = [{"type": "output_text", "text": TEXT, "annotations": []}]
    message = {"type": "message", "id": "msg", "role": "assistant", "status": "completed", "content": content}
    usage = {
        "input_tokens": call.input_tokens,
        "input_tokens_details": {"cached_tokens": call.cached_tokens},
        "output_tokens": call.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": call.input_tokens + call.output_tokens,
    }
    done = status == "completed"
    return {
        "id": f"resp-{call.key}",
        "object": "response",
        "created_at": CREATED_AT,
        "model": call.model,
        "status": status,
        "output": [message] if done else [],
        "usage": usage if done else None,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }


def _response_events(call: weka.Call) -> Iterator[bytes]:
    place = {"item_id": "msg", "output_index": 0, "content_index": 0, "logprobs": []}
    events: list[Json] = [
        {"type": "response.created", "response": _response(call, "in_progress")},
        *({"type": "response.output_text.delta", **place, "delta": piece} for piece in PIECES),
        {"type": "response.completed", "response": _response(call, "completed")},
    ]
    for number, event in enumerate(events):
        yield f"event: {event['type']}\n".encode() + _event({**event, "sequence_number": number})


def _event(data: Json) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def _send(send: Send, status: int, content_type: bytes, parts: Iterator[bytes] | list[bytes]) -> None:
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"content-type", content_type)]}
    )
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of the recorded sessions")
    parser.add_argument("--speed", type=float, default=10_000.0, help="recorded seconds per second")
    options = parser.parse_args()
    calls = {call.key: call for session in weka.sessions(options.folder) for call in session.calls()}
    # asyncio turns Nagle off only on sockets that name their protocol; with it, answers take 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    app = ReplayProvider(calls, options.speed)
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
    uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
