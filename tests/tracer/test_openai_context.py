"""Calls made in other contexts have the right parent; the usual ones are among the situations."""

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai

import fanlight
from fanlight.testing import Captured
from mock_provider import Provider
from sdk_drivers import MESSAGES, http_library

ASK: Any = {"model": "m", "messages": MESSAGES}
THREE = ("answer", ["chat m", "chat m", "chat m"])


def shapes(captured: Captured) -> list[object]:
    return [tree.shape() for tree in captured.trees()]


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
