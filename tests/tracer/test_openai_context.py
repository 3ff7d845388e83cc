"""Calls made in tasks, threads and generators have the right parent."""

import asyncio
import contextvars
import gc
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai

import fanlight
from fanlight.testing import Captured
from mock_provider import Provider
from sdk_drivers import MESSAGES, http_library
from span_trees import Node, described, plain_call

ASK: Any = {"model": "m", "messages": MESSAGES}
THREE = ("answer", ["chat m", "chat m", "chat m"])


def shapes(captured: Captured) -> list[object]:
    return [tree.shape() for tree in captured.trees()]


async def test_gathered_calls_are_siblings(provider: Provider, captured: Captured) -> None:
    url = provider.scenario()
    async with openai.AsyncOpenAI(base_url=url, api_key="k") as client:
        with fanlight.action("answer"):
            await asyncio.gather(*(client.chat.completions.create(**ASK) for _ in range(3)))
    truth = provider.truth(url, expect=3)
    assert described(captured) == [Node("answer", below=tuple(plain_call(asked) for asked in truth))]


async def test_calls_in_tasks_are_siblings(provider: Provider, captured: Captured) -> None:
    async with openai.AsyncOpenAI(base_url=provider.scenario(), api_key="k") as client:
        with fanlight.action("answer"):
            tasks = [asyncio.create_task(client.chat.completions.create(**ASK)) for _ in range(3)]
            for task in tasks:
                await task
    assert shapes(captured) == [THREE]


async def test_calls_in_to_thread_are_siblings(provider: Provider, captured: Captured) -> None:
    with openai.OpenAI(base_url=provider.scenario(), api_key="k") as client, fanlight.action("answer"):
        calls = (asyncio.to_thread(client.chat.completions.create, **ASK) for _ in range(3))
        await asyncio.gather(*calls)
    assert shapes(captured) == [THREE]


def test_calls_in_copied_contexts_are_siblings(provider: Provider, captured: Captured) -> None:
    with (
        openai.OpenAI(base_url=provider.scenario(), api_key="k") as client,
        ThreadPoolExecutor(3) as pool,
        fanlight.action("answer"),
    ):
        futures = [
            pool.submit(contextvars.copy_context().run, lambda: client.chat.completions.create(**ASK))
            for _ in range(3)
        ]
        for future in futures:
            future.result()
    assert shapes(captured) == [THREE]


async def test_a_call_inside_an_async_generator(provider: Provider, captured: Captured) -> None:
    async with openai.AsyncOpenAI(base_url=provider.scenario(), api_key="k") as client:

        async def words() -> AsyncIterator[str]:
            stream: Any = await client.chat.completions.create(**ASK, stream=True)
            async for chunk in stream:
                if chunk.choices[0].delta.content:
                    yield chunk.choices[0].delta.content

        with fanlight.action("answer"):
            generator: Any = words()
            async for _ in generator:
                break
            await client.chat.completions.create(**ASK)
            await generator.aclose()
        for _ in range(3):  # nobody closed the stream inside: it is left to the garbage collector
            gc.collect()
            await asyncio.sleep(0.01)
    assert shapes(captured) == [("answer", ["chat m", "chat m"])]


async def test_a_task_that_outlives_a_call_is_not_part_of_it(provider: Provider, captured: Captured) -> None:
    httpx = http_library()
    url = provider.scenario()
    later: list[asyncio.Task[Any]] = []
    async with openai.AsyncOpenAI(base_url=url, api_key="k") as outer:

        async def hook(_: Any) -> None:
            if not later:
                later.append(asyncio.create_task(afterwards()))

        async def afterwards() -> None:
            await asyncio.sleep(0.2)
            await outer.chat.completions.create(**ASK)

        async with httpx.AsyncClient(event_hooks={"request": [hook]}) as http:
            hooked = outer.with_options(http_client=http)
            await hooked.chat.completions.create(**ASK)
        await later[0]
    calls = captured.with_role("call")
    assert [call.attributes["fanlight.requests"] for call in calls] == [1, 1]
    assert captured.with_role("request") == []
