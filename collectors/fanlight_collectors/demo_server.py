"""A local OpenAI-compatible server for the demo: chat completions (plain and streamed) and embeddings.

It answers as `DemoModel` says, takes a little time as an engine would, refuses some requests once (429 or
500, the same ones for the same seed), and keeps its own count of what it physically received, so that the
figures in the store can be compared with the truth:

    with running_demo_server(seed=7) as server:
        OpenAI(base_url=server.base_url, api_key="demo").chat.completions.create(...)
        server.tally.requests

As a program it serves until it is stopped, with a line for each request, on any address:

    python -m fanlight_collectors.demo_server --listen 127.0.0.1:8000
"""

import argparse
import asyncio
import base64
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from fanlight_collectors.demo_model import Answer, DemoModel, Json, count_tokens, prompt_text

PREFILL_S_PER_TOKEN = 10e-6  # the demo's own pace: fast enough for a demo, slow enough to see parallelism
DECODE_S_PER_TOKEN = 0.3e-3
RETRY_AFTER_MS = 30
ONE_REFUSED_IN = 40  # share of prompts whose first request gets 429; the SDK tries again
ONE_FAILED_IN = 70  # share of prompts whose first request gets 500
EMBEDDING_DIMENSIONS = 8
START_TIMEOUT_S = 10.0


@dataclass(slots=True)
class Tally:
    """What the server physically received and answered: the truth for fanlight's figures."""

    requests: int = 0
    answered: int = 0  # complete answers, streams read to the end included
    refused: int = 0  # 429
    failed: int = 0  # 500
    broken_streams: int = 0  # the client left before the end
    input_tokens: int = 0  # of complete answers, cached ones included
    cached_tokens: int = 0
    output_tokens: int = 0
    requests_by_user: Counter[str] = field(default_factory=Counter)
    answers: dict[str, Answer] = field(default_factory=dict)  # of chat, by response id

    def add_answer(self, answer_id: str, answer: Answer) -> None:
        """Count one complete chat answer."""
        self.answers[answer_id] = answer
        self.answered += 1
        self.input_tokens += answer.input_tokens
        self.cached_tokens += answer.cached_tokens
        self.output_tokens += answer.output_tokens


@dataclass(slots=True)
class DemoApi:
    """The HTTP side: one method for each route."""

    model: DemoModel
    tally: Tally = field(default_factory=Tally)
    _faulted: set[str] = field(default_factory=set)
    _ids: int = 0

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/embeddings", self.embeddings, methods=["POST"]),
            ]
        )

    async def chat(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        body = await self._received(request)
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            return _error(400, "invalid_request_error", "messages must be a list with at least one message")
        if (fault := self._fault(prompt_text(messages))) is not None:
            return fault
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        tools = body.get("tools")
        answer = self.model.answer(
            messages, tools if isinstance(tools, list) else [], limit if isinstance(limit, int) else None
        )
        await asyncio.sleep((answer.input_tokens - answer.cached_tokens) * PREFILL_S_PER_TOKEN)
        if body.get("stream"):
            return StreamingResponse(self._stream(body, answer), media_type="text/event-stream")
        await asyncio.sleep(answer.output_tokens * DECODE_S_PER_TOKEN)
        answer_id = self._next_id()
        self.tally.add_answer(answer_id, answer)
        return JSONResponse(_completion(body, answer, answer_id))

    async def embeddings(self, request: Request) -> Response:
        """POST /v1/embeddings."""
        body = await self._received(request)
        texts = body.get("input")
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list) or not texts:
            return _error(400, "invalid_request_error", "input must be a text or a list of texts")
        tokens = sum(count_tokens(str(text)) for text in texts)
        await asyncio.sleep(tokens * PREFILL_S_PER_TOKEN)
        self.tally.answered += 1
        self.tally.input_tokens += tokens
        as_base64 = body.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": i, "embedding": self._vector(str(text), as_base64)}
            for i, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return JSONResponse({"object": "list", "model": body.get("model"), "data": data, "usage": usage})

    async def _received(self, request: Request) -> Json:
        self.tally.requests += 1
        try:
            body = await request.json()
        except ValueError:
            return {}
        if not isinstance(body, dict):
            return {}
        self.tally.requests_by_user[str(body.get("user", ""))] += 1
        return body

    def _fault(self, prompt: str) -> Response | None:
        if prompt in self._faulted:
            return None
        headers = {"retry-after-ms": str(RETRY_AFTER_MS)}
        if self.model.draw("429", prompt, ONE_REFUSED_IN) == 0:
            self._faulted.add(prompt)
            self.tally.refused += 1
            return _error(429, "rate_limit_exceeded", "the demo refuses this prompt once", headers)
        if self.model.draw("500", prompt, ONE_FAILED_IN) == 0:
            self._faulted.add(prompt)
            self.tally.failed += 1
            return _error(500, "server_error", "the demo fails at this prompt once", headers)
        return None

    async def _stream(self, body: Json, answer: Answer) -> AsyncIterator[str]:
        complete = False
        answer_id = self._next_id()
        try:
            for event in _events(body, answer, answer_id):
                await asyncio.sleep(DECODE_S_PER_TOKEN * 4)
                yield f"data: {json.dumps(event)}\n\n"
            complete = True
            self.tally.add_answer(answer_id, answer)
            yield "data: [DONE]\n\n"
        finally:
            self.tally.broken_streams += not complete

    def _next_id(self) -> str:
        self._ids += 1
        return f"demo-{self.model.seed}-{self._ids}"

    def _vector(self, text: str, as_base64: bool) -> str | list[float]:
        values = [self.model.draw(f"dim {i}", text, 2001) / 1000 - 1 for i in range(EMBEDDING_DIMENSIONS)]
        if not as_base64:
            return values
        return base64.b64encode(struct.pack(f"<{EMBEDDING_DIMENSIONS}f", *values)).decode()


@dataclass(frozen=True, slots=True)
class RunningDemoServer:
    """A server that answers at base_url, and its own count."""

    base_url: str
    tally: Tally


@contextmanager
def running_demo_server(seed: int = 7) -> Iterator[RunningDemoServer]:
    """Serve on a free port of 127.0.0.1 in a thread until the block ends."""
    api = DemoApi(DemoModel(seed))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(api.app(), log_level="warning", access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="demo-server")
        thread.start()
        try:
            yield RunningDemoServer(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", api.tally)
        finally:
            server.should_exit = True
            thread.join(START_TIMEOUT_S)


def _error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "type": code, "code": code}}, status, headers)


def _usage(answer: Answer) -> Json:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens},
    }


def _completion(body: Json, answer: Answer, answer_id: str) -> Json:
    message: dict[str, object] = {"role": "assistant", "content": answer.content or None}
    if answer.tool_calls:
        message["tool_calls"] = answer.tool_calls
    return {
        "id": answer_id,
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model"),
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
        "usage": _usage(answer),
    }


def _events(body: Json, answer: Answer, answer_id: str) -> Iterator[Json]:
    base = {"id": answer_id, "object": "chat.completion.chunk", "created": 0, "model": body.get("model")}
    deltas: list[Json] = [{"role": "assistant", "content": ""}, *({"content": c} for c in answer.chunks())]
    deltas += [{"tool_calls": [{"index": i, **call}]} for i, call in enumerate(answer.tool_calls)]
    for delta in deltas:
        yield {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": answer.finish_reason}]}
    options = body.get("stream_options")
    if isinstance(options, Mapping) and options.get("include_usage"):
        yield {**base, "choices": [], "usage": _usage(answer)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m fanlight_collectors.demo_server", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--listen", default="127.0.0.1:8000", metavar="HOST:PORT", help="where it answers")
    parser.add_argument("--seed", type=int, default=7, help="which answers it gives")
    options = parser.parse_args(arguments)
    host, _, port = options.listen.rpartition(":")
    if not host or not port.isdigit():
        parser.error(f"--listen is {options.listen!r}; give host:port, for example 127.0.0.1:8000")
    uvicorn.run(DemoApi(DemoModel(options.seed)).app(), host=host, port=int(port), lifespan="off")


if __name__ == "__main__":
    main()
