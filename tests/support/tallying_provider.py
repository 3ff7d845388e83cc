"""An OpenAI-compatible server that does what each prompt says and keeps its own count of what it got.

    python tests/support/tallying_provider.py

A prompt is JSON: {"id": "a", "refuse": 1, "input": 100, "cached": 64, "output": 20}. The first `refuse`
requests of an id are answered with 429; then come the token counts as asked. The count goes by the request's
`user`: GET /tally answers {"u-1": {"requests": 2, "refused": 1}}. Prints its port as the first line.
"""

import json
import socket
from collections import Counter, defaultdict
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

PIECES = ("as ", "you ", "said")


class Provider:
    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self.tally: defaultdict[str, Counter[str]] = defaultdict(Counter)

    async def chat(self, request: Request) -> Response:
        asked = await request.json()
        order = json.loads(asked["messages"][0]["content"])
        count = self.tally[asked["user"]]
        count["requests"] += 1
        if self.refused[order["id"]] < order.get("refuse", 0):
            self.refused[order["id"]] += 1
            count["refused"] += 1
            error = {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}
            return JSONResponse({"error": error}, 429, headers={"retry-after-ms": "1"})
        if asked.get("stream"):
            return StreamingResponse(iter(_events(asked, order)), media_type="text/event-stream")
        message = {"role": "assistant", "content": "".join(PIECES)}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return JSONResponse(
            {**_head(asked, order, "chat.completion"), "choices": [choice], "usage": _usage(order)}
        )

    async def counts(self, _: Request) -> Response:
        return JSONResponse(self.tally)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/tally", self.counts),
            ]
        )


def _head(asked: dict[str, Any], order: dict[str, Any], kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{order['id']}",
        "object": kind,
        "created": 1_790_000_000,
        "model": asked["model"],
    }


def _usage(order: dict[str, Any]) -> dict[str, Any]:
    return {
        "prompt_tokens": order["input"],
        "completion_tokens": order["output"],
        "total_tokens": order["input"] + order["output"],
        "prompt_tokens_details": {"cached_tokens": order["cached"]},
    }


def _events(asked: dict[str, Any], order: dict[str, Any]) -> list[str]:
    head = _head(asked, order, "chat.completion.chunk")
    choices = [{"index": 0, "delta": {"content": piece}, "finish_reason": None} for piece in PIECES]
    events: list[dict[str, Any]] = [{**head, "choices": [choice]} for choice in choices]
    events.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    events.append({**head, "choices": [], "usage": _usage(order)})
    return [f"data: {json.dumps(event)}\n\n" for event in events] + ["data: [DONE]\n\n"]


def main() -> None:
    # asyncio turns Nagle off only on sockets that name their protocol; with it, answers take 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(Provider().app(), log_level="warning")).run([listener])


if __name__ == "__main__":
    main()
