"""A program that other tracers watch, too: `two_tracers.py OTHER first|second URL`.

OTHER is a key of OTHERS and is switched on before fanlight, or after it. Its spans go to the same collector.
Without the anthropic SDK its call is left out.
"""

import asyncio
import importlib
import importlib.util
import sys
from collections.abc import Callable
from typing import Any

from openai import AsyncOpenAI, OpenAI
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import TracerProvider

import fanlight

MESSAGES: Any = [{"role": "user", "content": "one two three"}]


def instrumentors(*places: str) -> Callable[[], None]:
    """Switches on classes of the shape that OpenTelemetry gives instrumentations, each `module:class`."""

    def switch_on() -> None:
        for place in places:
            module, _, name = place.partition(":")
            getattr(importlib.import_module(module), name)().instrument()

    return switch_on


def logfire() -> None:
    """It sets the provider itself, and exports to where OTEL_EXPORTER_OTLP_ENDPOINT says."""
    module = importlib.import_module("logfire")
    module.configure(send_to_logfire=False, console=False)
    module.instrument_openai()


OTHERS: dict[str, Callable[[], None]] = {
    "openinference": instrumentors(
        "openinference.instrumentation.openai:OpenAIInstrumentor",
        "openinference.instrumentation.anthropic:AnthropicInstrumentor",
    ),
    "openllmetry": instrumentors(
        "opentelemetry.instrumentation.openai:OpenAIInstrumentor",
        "opentelemetry.instrumentation.anthropic:AnthropicInstrumentor",
    ),
    "otel-genai": instrumentors("opentelemetry.instrumentation.genai.openai:OpenAIInstrumentor"),
    "otel-openai-v2": instrumentors("opentelemetry.instrumentation.openai_v2:OpenAIInstrumentor"),
    "otel-httpx": instrumentors(
        "opentelemetry.instrumentation.httpx:HTTPXClientInstrumentor",
        "opentelemetry.instrumentation.httpx:HTTPX2ClientInstrumentor",
    ),
    "logfire": logfire,
}
TOGETHER = ("otel-openai-v2", "otel-httpx", "logfire")


def switch_on(other: str) -> None:
    for name in TOGETHER if other == "together" else (other,):
        OTHERS[name]()


async def ask_async(name: str, url: str, ask: dict[str, Any]) -> None:
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="k") as client:
        with fanlight.action(name):
            await client.chat.completions.create(**ask)


def main(other: str, turn: str, url: str) -> None:
    if other not in ("logfire", "together"):
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
    with (
        OpenAI(base_url=f"{url}/v1", api_key="k") as client,
        fanlight.action(f"{other} {turn} silenced"),
        suppress_instrumentation(),  # the app wants nobody to see this one
    ):
        client.chat.completions.create(**ask)
    if importlib.util.find_spec("anthropic"):
        from anthropic import Anthropic

        with Anthropic(base_url=url, api_key="k") as other_client, fanlight.action(f"{other} {turn} message"):
            other_client.messages.create(**ask, max_tokens=9)
    assert fanlight.flush(timeout_s=60)  # not a claim: a busy machine


main(*sys.argv[1:])
