"""A FastAPI app whose routes call a model: plain, in a thread, streamed, later, failing, by websocket."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException, WebSocket
from fastapi.responses import StreamingResponse

import fanlight
from fanlight.testing import Captured
from mock_provider import Provider
from serving import served_asgi

MESSAGES: Any = [{"role": "user", "content": "Say something about the window."}]


class Agent:
    """What the routes do: calls of a model, by the real SDK."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def call(self) -> None:
        async with openai.AsyncOpenAI(base_url=self.url, api_key="k") as client:
            await client.chat.completions.create(model="m", messages=MESSAGES)

    def call_sync(self) -> None:
        with openai.OpenAI(base_url=self.url, api_key="k") as client:
            client.chat.completions.create(model="m", messages=MESSAGES)


@pytest.fixture
def agent(provider: Provider) -> Agent:
    return Agent(provider.scenario())


def fast_app(agent: Agent) -> FastAPI:
    app, router = FastAPI(), APIRouter(prefix="/v1")

    @app.get("/health")
    async def health() -> str:
        return "fine"

    @app.post("/ask/{id}")
    async def ask_twice(id: str) -> None:  # noqa: A002
        await agent.call()
        await agent.call()

    @app.post("/sync/{id}")
    def ask_in_thread(id: str) -> None:  # noqa: A002
        agent.call_sync()

    @router.post("/routed/{id}")
    async def routed(id: str) -> None:  # noqa: A002
        await agent.call()

    @app.post("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            for _ in range(2):
                await agent.call()
                yield "part"
                await asyncio.sleep(0.05)

        return StreamingResponse(parts())

    @app.post("/endless")
    async def endless() -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            await agent.call()
            while True:
                yield "part" * 1000
                await asyncio.sleep(0.01)

        return StreamingResponse(parts())

    @app.post("/later")
    async def later(background: BackgroundTasks) -> str:
        async def work() -> None:
            await asyncio.sleep(0.1)
            await agent.call()

        background.add_task(work)
        return "accepted"

    @app.post("/raises")
    async def raises() -> None:
        await agent.call()
        raise ValueError("secret")

    @app.post("/refuses/{status}")
    async def refuses(status: int) -> None:
        await agent.call()
        raise HTTPException(status)

    @app.post("/declared")
    async def declared() -> None:
        await agent.call()
        with fanlight.action("answer", user="u-declared"):
            await agent.call()
        await agent.call()

    @app.post("/declared_first")
    async def declared_first() -> None:
        with fanlight.action("answer"):
            await agent.call()
        await agent.call()

    @app.post("/knows")
    async def knows() -> None:
        fanlight.set_user("u-set")
        await agent.call()
        fanlight.set_session("s-set")

    @app.post("/slow/{id}")
    async def slow(id: str) -> None:  # noqa: A002
        await asyncio.sleep(0.05)
        await agent.call()

    @app.websocket("/talk/{room}")
    async def talk(talk: WebSocket, room: str) -> None:
        await talk.accept()
        while True:
            text = await talk.receive_text()
            if text == "who":
                fanlight.set_user("u-socket")
            if text != "quiet":
                await agent.call()
            await talk.send_text(text)
            if text == "bye":
                break

    app.include_router(router)
    return app


@pytest.fixture
def url(captured: Captured, agent: Agent) -> Iterator[str]:
    with served_asgi(fast_app(agent)) as served:
        yield served
