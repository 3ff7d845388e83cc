"""A program that two tracers watch: `two_tracers.py OTHER first|second URL`.

OTHER is a key of OTHERS and is switched on before fanlight, or after it. Its spans go to the same collector.
"""

import asyncio
import importlib
import sys
from typing import Any

from anthropic import Anthropic
from openai import AsyncOpenAI, OpenAI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import fanlight

# Classes that patch the openai and the anthropic SDK.
OTHERS = {
    "openinference": (
        "openinference.instrumentation.openai:OpenAIInstrumentor",
        "openinference.instrumentation.anthropic:AnthropicInstrumentor",
    ),
    "openllmetry": (
        "opentelemetry.instrumentation.openai:OpenAIInstrumentor",
        "opentelemetry.instrumentation.anthropic:AnthropicInstrumentor",
    ),
    "opentelemetry": ("opentelemetry.instrumentation.genai.openai:OpenAIInstrumentor",),
}
MESSAGES: Any = [{"role": "user", "content": "one two three"}]


def switch_on(other: str) -> None:
    for place in OTHERS[other]:
        module, _, name = place.partition(":")
        getattr(importlib.import_module(module), name)().instrument()


async def ask_async(name: str, url: str, ask: dict[str, Any]) -> None:
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="k") as client:
        with fanlight.action(name):
            await client.chat.completions.create(**ask)


def main(other: str, turn: str, url: str) -> None:
    trace.set_tracer_provider(TracerProvider())
    if turn == "first":
        switch_on(other)
    fanlight.instrument()
    if turn == "second":
        switch_on(other)
    ask: dict[str, Any] = {"model": "m", "messages": MESSAGES}
    with OpenAI(base_url=f"{url}/v1", api_key="k") as client:
        with fanlight.action(f"{other} {turn} plain"), fanlight.agent("planner"):
            client.chat.completions.create(**ask)
        with fanlight.action(f"{other} {turn} stream"):
            list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
        with fanlight.action(f"{other} {turn} retried"):
            client.chat.completions.create(**ask)
        with fanlight.action(f"{other} {turn} embeddings"):
            client.embeddings.create(model="m", input="one two")
    asyncio.run(ask_async(f"{other} {turn} async", url, ask))
    with Anthropic(base_url=url, api_key="k") as other_client, fanlight.action(f"{other} {turn} message"):
        other_client.messages.create(**ask, max_tokens=9)
    assert fanlight.flush()


main(*sys.argv[1:])
