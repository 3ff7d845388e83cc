"""A model provider on websockets, in a process of its own that knows the truth: responses and realtime.

    with running_sockets() as provider:
        connect(provider.url + "/v1/responses").send('{"type": "response.create", "model": "m", ...}')
        provider.truth()     # one token count for each response that it began

What a response meets is in its `metadata`: {"cut_after": "3"} events with text, then the connection is cut;
{"error": "429"} refuses it; {"hang_after": "3"}; {"pace_ms": "5"}.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import mock_openai

Json = dict[str, Any]
_truth: list[Json] = []
_ids = itertools.count(1)


async def _serve(connection: Any) -> None:
    path = connection.request.path
    if path.partition("?")[0].endswith("BidiGenerateContent"):
        await _live(connection)
        return
    realtime = path.partition("?")[0].endswith("/realtime")
    running: set[asyncio.Task[None]] = set()
    if realtime:
        await connection.send(json.dumps({"type": "session.created", "event_id": "e1", "session": {}}))
    async for message in connection:
        event = json.loads(message)
        if event["type"] == "input_audio_buffer.commit":  # a detected turn: the server begins by itself
            event = {"type": "response.create", "response": {}}
        elif event["type"] != "response.create":
            if event["type"] == "bad":
                about = {"type": "invalid_request_error", "event_id": event.get("event_id")}
                await connection.send(json.dumps({"type": "error", "event_id": "e2", "error": about}))
            continue
        answer = _realtime(connection, event) if realtime else _responses(connection, event)
        task = asyncio.create_task(answer)
        running.add(task)
        task.add_done_callback(running.discard)


async def _responses(connection: Any, event: Json) -> None:
    meets = event.get("metadata") or {}
    if "error" in meets:
        error = {"type": "error", "status": int(meets["error"]), "error": {"code": "rate_limit_exceeded"}}
        await connection.send(json.dumps(error))
        return
    reply = mock_openai.responses(event, "")
    lane = {"stream_id": event["stream_id"]} if "stream_id" in event else {}
    events = [json.loads(e.data.partition(b"data: ")[2]) | lane for e in reply.events]
    await _send(connection, events, meets, reply.input_tokens, reply.output_tokens)


async def _realtime(connection: Any, event: Json) -> None:
    asked = event.get("response") or {}
    name = f"resp_{next(_ids)}"
    output, given = mock_openai.OUTPUT_TOKENS, 7
    begun = {"id": name, "object": "realtime.response", "status": "in_progress", "usage": None}
    usage = {
        "total_tokens": given + output,
        "input_tokens": given,
        "output_tokens": output,
        "input_token_details": {"cached_tokens": mock_openai.CACHED_TOKENS, "text_tokens": given},
        "output_token_details": {"text_tokens": output},
    }
    kind = "response.output_audio.delta" if asked.get("audio") else "response.output_text.delta"
    piece = {"type": kind, "response_id": name, "item_id": "i", "output_index": 0, "content_index": 0}
    done = {**begun, "status": "completed", "usage": usage}
    events = [
        {"type": "response.created", "response": begun},
        *({**piece, "delta": "word "} for _ in range(output)),
        {"type": "response.done", "response": done},
    ]
    numbered = [{"event_id": f"e{number}", **e} for number, e in enumerate(events)]
    await _send(connection, numbered, asked.get("metadata") or {}, given, output)


async def _live(connection: Any) -> None:
    """Gemini's Live API: a turn for each message that wants one; a prompt can ask for a tool or for sound."""
    async for message in connection:
        asked = json.loads(message)
        if "setup" in asked:
            await connection.send(json.dumps({"setupComplete": {}}))
            continue
        said = json.dumps(asked)
        if "realtime_input" in asked and "end" not in said:
            continue
        turn = asked.get("client_content", {})
        if "client_content" in asked and not (turn.get("turnComplete") or turn.get("turn_complete")):
            continue
        await _live_turn(connection, said)


async def _live_turn(connection: Any, said: str) -> None:
    output, given, thoughts = mock_openai.OUTPUT_TOKENS, 11, 5
    truth = {"input_tokens": given, "output_tokens": output + thoughts, "sent": 0}
    _truth.append(truth)
    sound = {"inlineData": {"mimeType": "audio/pcm", "data": "AAAA"}}
    for _ in range(output):
        if "hang" in said and truth["sent"] == 3:
            await connection.wait_closed()
            return
        part = sound if "sound" in said else {"text": "word "}
        await connection.send(json.dumps({"serverContent": {"modelTurn": {"parts": [part]}}}))
        truth["sent"] += "text" in part
    counts = {"promptTokenCount": given, "responseTokenCount": output, "thoughtsTokenCount": thoughts}
    end: Json = {"usageMetadata": {**counts, "totalTokenCount": given + output + thoughts}}
    if "tool_response" not in said and "call" in said:
        end["toolCall"] = {"functionCalls": [{"name": "f", "args": {}, "id": "1"}]}
    else:
        end["serverContent"] = {"turnComplete": True}
    await connection.send(json.dumps(end))


async def _send(connection: Any, events: list[Json], meets: Json, given: int, output: int) -> None:
    truth = {"input_tokens": given, "output_tokens": output, "sent": 0}
    _truth.append(truth)
    for event in events:
        if event["type"].endswith("delta"):
            if truth["sent"] == int(meets.get("cut_after", -1)):
                connection.transport.abort()
                return
            if truth["sent"] == int(meets.get("hang_after", -1)):
                await asyncio.sleep(60)
            truth["sent"] += 1
            await asyncio.sleep(int(meets.get("pace_ms", 1)) / 1000)
        await connection.send(json.dumps(event))


def _plain(connection: Any, request: Any) -> Any:
    """Over HTTP it tells the truth."""
    if request.path == "/_truth":
        return connection.respond(HTTPStatus.OK, json.dumps(_truth))
    if request.path == "/_forget":
        _truth.clear()
        return connection.respond(HTTPStatus.OK, "{}")
    return None


async def serve() -> None:
    """Serve until the parent closes our standard input."""
    from websockets.asyncio.server import serve as serve_sockets

    async with serve_sockets(_serve, "127.0.0.1", 0, process_request=_plain) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


class SocketProvider:
    """The running provider as a test sees it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"ws://127.0.0.1:{port}"
        self.http_url = f"http://127.0.0.1:{port}"

    def truth(self, expect: int, timeout_s: float = 5.0) -> list[Json]:
        """Each response that was begun; waits until there are `expect`."""
        give_up_at = time.monotonic() + timeout_s
        while True:
            with urllib.request.urlopen(f"{self.http_url}/_truth") as response:
                found: list[Json] = json.load(response)
            if len(found) >= expect or time.monotonic() > give_up_at:
                return found
            time.sleep(0.01)

    def forget(self) -> None:
        """Begin anew."""
        with urllib.request.urlopen(f"{self.http_url}/_forget") as response:
            response.read()


@contextlib.contextmanager
def running_sockets() -> Iterator[SocketProvider]:
    """Start the provider in a process of its own, and stop it."""
    process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield SocketProvider(int(process.stdout.readline()))
    finally:
        process.stdin.close()
        process.wait(timeout=10)
        process.stdout.close()


if __name__ == "__main__":
    asyncio.run(serve())
