"""A server that answers chat completions at once with fixed text, and takes OTLP without looking at it.

    python tests/bench/provider.py

Prints its port as the first line. Streams have `CHUNKS` content chunks in one write, so that what is timed is
the client. It stands for a provider and for a collector that cost nothing.
"""

import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

Json = dict[str, Any]

CHUNKS = 200
USAGE = {
    "prompt_tokens": 1_000,
    "completion_tokens": CHUNKS,
    "total_tokens": 1_000 + CHUNKS,
    "prompt_tokens_details": {"cached_tokens": 512},
}


def _head(kind: str) -> Json:
    return {"id": "chatcmpl-1", "object": kind, "created": 1_790_000_000, "model": "bench-model"}


def plain_answer() -> bytes:
    message = {"role": "assistant", "content": "word " * CHUNKS}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return json.dumps({**_head("chat.completion"), "choices": [choice], "usage": USAGE}).encode()


def streamed_answer() -> bytes:
    head = _head("chat.completion.chunk")
    word = {"index": 0, "delta": {"content": "word "}, "finish_reason": None}
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    events: list[Json] = [{**head, "choices": [word]} for _ in range(CHUNKS)]
    events += [{**head, "choices": [end]}, {**head, "choices": [], "usage": USAGE}]
    return (
        b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"
    )


PLAIN = plain_answer()
STREAMED = streamed_answer()


def answer_to(request_body: bytes) -> tuple[str, bytes]:
    """Content type and body of the answer to a chat completion."""
    if b'"stream":true' in request_body.replace(b" ", b""):
        return "text/event-stream", STREAMED
    return "application/json", PLAIN


async def app(
    scope: Json, receive: Callable[[], Awaitable[Json]], send: Callable[[Json], Awaitable[None]]
) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    otlp = scope["path"].endswith("/v1/traces")
    kind, answer = ("application/x-protobuf", b"") if otlp else answer_to(body)
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def main() -> None:
    import uvicorn  # not where answers come from memory

    # asyncio turns Nagle off only on sockets that name their protocol; with it, answers take 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
    uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
