"""A server between an app and the model: `hop.py ROLE UPSTREAM` prints its port and serves.

gateway   passes calls on, traced by OpenInference and a SERVER span, not by fanlight
watched   passes calls on, traced by fanlight alone
engine    answers itself and tells of it as vLLM does: one SERVER span with `gen_ai` attributes
service   `POST /search` asks the model twice, traced as the gateway is
"""

import asyncio
import json
import os
import socket
import sys
import urllib.request
from typing import Any

import uvicorn
from openai import AsyncOpenAI
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ROLE, UPSTREAM = sys.argv[1:]
CHAT = "/v1/chat/completions"


async def pass_on(request: Request) -> Response:
    asked = await request.json()
    async with AsyncOpenAI(base_url=UPSTREAM, api_key="k") as client:
        answer = await client.chat.completions.create(**asked)
    return JSONResponse(json.loads(answer.model_dump_json()))


async def pass_on_traced(request: Request) -> Response:
    with tracer.start_as_current_span(f"POST {CHAT}", extract(request.headers), SpanKind.SERVER):
        return await pass_on(request)


def infer(body: bytes) -> Any:
    with urllib.request.urlopen(f"{UPSTREAM}/chat/completions", body) as answer:
        return json.load(answer)


async def generate(request: Request) -> Response:
    """As vllm/tracing names its span and what it says."""
    body = await request.body()
    attributes = {"gen_ai.request.id": "chatcmpl-1", "gen_ai.request.n": 1}
    with tracer.start_as_current_span(
        "llm_request", extract(request.headers), SpanKind.SERVER, attributes
    ) as span:
        found = await asyncio.to_thread(infer, body)
        span.set_attribute("gen_ai.response.model", found["model"])
        span.set_attribute("gen_ai.usage.prompt_tokens", found["usage"]["prompt_tokens"])
        span.set_attribute("gen_ai.usage.completion_tokens", found["usage"]["completion_tokens"])
        span.set_attribute("gen_ai.latency.time_to_first_token", 0.01)
    return JSONResponse(found)


async def search(request: Request) -> Response:
    with tracer.start_as_current_span("POST /search", extract(request.headers), SpanKind.SERVER):
        async with AsyncOpenAI(base_url=UPSTREAM, api_key="k") as client:
            for word in ("one", "two"):
                messages: Any = [{"role": "user", "content": word}]
                await client.chat.completions.create(model="m", messages=messages)
    return Response("found")


if ROLE != "watched":
    provider = TracerProvider()
    exporter = OTLPSpanExporter(f"{os.environ['OTEL_EXPORTER_OTLP_ENDPOINT']}/v1/traces")
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
tracer = trace.get_tracer("vllm.llm_engine" if ROLE == "engine" else f"hop-{ROLE}")
if ROLE == "watched":
    import fanlight

    fanlight.instrument()
elif ROLE != "engine":
    from openinference.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()

ROUTES = {
    "gateway": Route(CHAT, pass_on_traced, methods=["POST"]),
    "watched": Route(CHAT, pass_on, methods=["POST"]),
    "engine": Route(CHAT, generate, methods=["POST"]),
    "service": Route("/search", search, methods=["POST"]),
}
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(Starlette(routes=[ROUTES[ROLE]]), log_level="error")).run([listener])
