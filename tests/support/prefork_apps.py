"""One app for WSGI and ASGI servers: `POST /ask` calls a model and answers with its worker's pid.

fanlight is switched on where the module is imported: in each worker, or before they are forked (`--preload`).
"""

import asyncio
import os
import signal
from typing import Any

import httpx
from flask import Flask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import fanlight

fanlight.instrument()
BODY: Any = {"model": "m", "messages": [{"role": "user", "content": "Say something about the window."}]}
wsgi = Flask("wsgi")


def model_url() -> str:
    return os.environ["BASE_URL"] + "/chat/completions"


@wsgi.post("/ask")
def ask() -> str:
    httpx.post(model_url(), json=BODY)
    return str(os.getpid())


async def ask_async(_: Request) -> PlainTextResponse:
    async with httpx.AsyncClient() as client:
        await client.post(model_url(), json=BODY)
    return PlainTextResponse(str(os.getpid()))


@wsgi.post("/die")
def die() -> str:
    httpx.post(model_url(), json=BODY)
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


async def die_async(request: Request) -> PlainTextResponse:
    await ask_async(request)
    os.kill(os.getpid(), signal.SIGKILL)
    await asyncio.sleep(60)
    return PlainTextResponse("")


asgi = Starlette(
    routes=[Route("/ask", ask_async, methods=["POST"]), Route("/die", die_async, methods=["POST"])]
)
