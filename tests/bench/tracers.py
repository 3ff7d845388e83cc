"""Switches one tracer on in this process, each as its own documentation says, exporting OTLP to one server.

    tracers.SWITCH_ON["openinference"](server)

`bare` is the SDK alone. `fanlight` comes from this checkout, the others from peers.txt. The official SDK with
its batch processor and OTLP/HTTP exporter carries the spans of those that bring no exporter of their own.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

DISTRIBUTIONS: Mapping[str, tuple[str, ...]] = {  # what a user installs beside openai
    "bare": (),
    "fanlight": ("fanlight",),
    "openllmetry": ("opentelemetry-instrumentation-openai", "opentelemetry-exporter-otlp-proto-http"),
    "openinference": ("openinference-instrumentation-openai", "opentelemetry-exporter-otlp-proto-http"),
    "otel-genai": ("opentelemetry-instrumentation-genai-openai", "opentelemetry-exporter-otlp-proto-http"),
    "otel-httpx": ("opentelemetry-instrumentation-httpx", "opentelemetry-exporter-otlp-proto-http"),
    "langfuse": ("langfuse",),
    "logfire": ("logfire",),
}
_OTEL_INSTRUMENTORS = {
    "openllmetry": ("opentelemetry.instrumentation.openai", "OpenAIInstrumentor"),
    "openinference": ("openinference.instrumentation.openai", "OpenAIInstrumentor"),
    "otel-genai": ("opentelemetry.instrumentation.genai.openai", "OpenAIInstrumentor"),
    "otel-httpx": ("opentelemetry.instrumentation.httpx", "HTTPXClientInstrumentor"),
}
Action = Callable[[], AbstractContextManager[Any]]


def _bare(server: str) -> Action:
    return contextlib.nullcontext


def _fanlight(server: str) -> Action:
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = server
    import fanlight

    fanlight.instrument()
    return lambda: fanlight.action("bench", user="u-1", session="s-1")


def _otel(name: str) -> Callable[[str], Action]:
    def switch_on(server: str) -> Action:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{server}/v1/traces")))
        trace.set_tracer_provider(provider)
        module, instrumentor = _OTEL_INSTRUMENTORS[name]
        getattr(importlib.import_module(module), instrumentor)().instrument()
        return lambda: trace.get_tracer("bench").start_as_current_span("bench")

    return switch_on


def _langfuse(server: str) -> Action:
    os.environ.update(LANGFUSE_HOST=server, LANGFUSE_PUBLIC_KEY="pk-bench", LANGFUSE_SECRET_KEY="sk-bench")
    langfuse = importlib.import_module("langfuse")
    importlib.import_module("langfuse.openai")
    client = langfuse.Langfuse()
    return lambda: client.start_as_current_observation(name="bench")


def _logfire(server: str) -> Action:
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = server
    logfire = importlib.import_module("logfire")
    logfire.configure(send_to_logfire=False, console=False)
    logfire.instrument_openai()
    return lambda: logfire.span("bench")


SWITCH_ON: Mapping[str, Callable[[str], Action]] = {
    "bare": _bare,
    "fanlight": _fanlight,
    **{name: _otel(name) for name in _OTEL_INSTRUMENTORS},
    "langfuse": _langfuse,
    "logfire": _logfire,
}

_FIND = """
import json, sys
from importlib.metadata import distributions
print(json.dumps([found.metadata["Name"].lower() for found in distributions()]))
"""


def installed(python: str) -> list[str]:
    """The tracers that an interpreter can import; fanlight comes from the checkout and always is there."""
    answer = subprocess.run([python, "-c", _FIND], capture_output=True, text=True, check=True)
    there = {*json.loads(answer.stdout), "fanlight"}
    return [name for name, needed in DISTRIBUTIONS.items() if needed and there.issuperset(needed)]
