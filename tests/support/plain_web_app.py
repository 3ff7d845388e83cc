"""A web app that knows nothing of fanlight: FastAPI, and a model behind the openai SDK.

OPENAI_BASE_URL=... python tests/support/plain_web_app.py      prints its port, and serves
"""

import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI, OpenAI

app = FastAPI()
MESSAGES = [{"role": "user", "content": "Say something about the window."}]


@app.get("/health")
async def health() -> str:
    return "fine"


@app.post("/ask/{number}")
async def ask(number: int) -> int:
    async with AsyncOpenAI() as client:
        for _ in range(number):
            await client.chat.completions.create(model="m", messages=MESSAGES)
    return number


@app.post("/stream")
def stream() -> StreamingResponse:
    def parts() -> Iterator[str]:
        with OpenAI() as client:
            for chunk in client.chat.completions.create(model="m", messages=MESSAGES, stream=True):
                yield (chunk.choices[0].delta.content or "") if chunk.choices else ""

    return StreamingResponse(parts())


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])
