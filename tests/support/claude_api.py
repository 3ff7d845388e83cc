"""Anthropic's messages API as the program of the Claude Agent SDK asks it: streams that call tools as told.

Shapes follow https://docs.anthropic.com/en/api/messages-streaming. See mock_tools for how a prompt tells.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mock_tools import ToolCall, asked_calls

Json = dict[str, Any]
INPUT, CACHE_READ, CACHE_WRITE, OUTPUT = 11, 3, 2, 25  # tokens of every answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    numbers: Iterator[int]
    asked: list[Json]

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_HEAD(self) -> None:
        self._send(b"", "text/plain")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)))
        if not self.path.startswith("/v1/messages?") or not body.get("stream"):
            self._send(json.dumps({"input_tokens": INPUT}).encode(), "application/json")
            return
        self.asked.append(body)
        events = _events(body, f"msg_{next(self.numbers)}")
        text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        self._send(text.encode(), "text/event-stream")

    def _send(self, data: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _events(body: Json, message_id: str) -> Iterator[Json]:
    calls = asked_calls(_as_chat(body))
    usage = {
        "input_tokens": INPUT,
        "output_tokens": 1,
        "cache_read_input_tokens": CACHE_READ,
        "cache_creation_input_tokens": CACHE_WRITE,
    }
    message = {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [],
    }
    end = {"stop_reason": None, "stop_sequence": None}
    yield {"type": "message_start", "message": {**message, **end, "content": [], "usage": usage}}
    for index, (block, delta) in enumerate([_use(call) for call in calls] or [_TEXT]):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    reason = "tool_use" if calls else "end_turn"
    yield {
        "type": "message_delta",
        "delta": {**end, "stop_reason": reason},
        "usage": {"output_tokens": OUTPUT},
    }
    yield {"type": "message_stop"}


_TEXT = ({"type": "text", "text": ""}, {"type": "text_delta", "text": "done"})


def _use(call: ToolCall) -> tuple[Json, Json]:
    block = {"type": "tool_use", "id": f"toolu_{call.id}", "name": call.name, "input": {}}
    return block, {"type": "input_json_delta", "partial_json": call.arguments}


def _as_chat(body: Json) -> Json:
    """The same request as mock_tools reads it."""
    messages = [{"role": "system", "content": body.get("system") or ""}, *body["messages"]]
    return {"tools": body.get("tools"), "messages": [_with_calls(message) for message in messages]}


def _with_calls(message: Json) -> Json:
    content = message["content"]
    blocks = [] if isinstance(content, str) else content
    used = [{"function": {"name": block["name"]}} for block in blocks if block.get("type") == "tool_use"]
    return {**message, "tool_calls": used}


@contextlib.contextmanager
def running_claude_api() -> Iterator[tuple[str, list[Json]]]:
    """Its base URL, and the requests that it was asked."""
    asked: list[Json] = []
    handler = type("Handler", (_Handler,), {"numbers": itertools.count(1), "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
