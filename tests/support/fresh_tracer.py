"""Fixtures of the tracer's tests: each starts as a fresh process would, and sees what fanlight recorded.

The tracer's own errors are raised, not swallowed. `spans` is what fanlight recorded, `collector` a real OTLP
server on loopback that the exporter is pointed at.
"""

import gc
import os
import secrets
from collections.abc import Iterator

import pytest
from opentelemetry import context, trace
from opentelemetry.util._once import Once

import fanlight
from fanlight import _cascade, _guard, testing
from fanlight._runtime import runtime
from otlp_receiver import OtlpReceiver


def _forget_global_provider() -> None:
    trace._TRACER_PROVIDER = None
    trace._TRACER_PROVIDER_SET_ONCE = Once()


@pytest.fixture(autouse=True)
def fresh_tracer(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No provider, no settings but a spool of its own, no context, the tracer off; undone afterwards."""
    for name in os.environ:
        if name.startswith(("OTEL_", "FANLIGHT_")) and name != "FANLIGHT_TEST_DATA":
            monkeypatch.delenv(name)
    monkeypatch.setenv("FANLIGHT_SPOOL_DIR", str(tmp_path_factory.getbasetemp() / secrets.token_hex(4)))
    _forget_global_provider()
    runtime.reset()
    runtime.fork_generation += (
        1  # a span that an earlier test dropped, and that ends when collected, is not heard
    )
    _guard.raise_errors(True)
    token = context.attach(context.Context())
    yield
    fanlight.uninstrument()
    context.detach(token)
    _guard.raise_errors(False)
    _guard.forget_errors()
    _cascade.forget()
    _forget_global_provider()


@pytest.fixture
def spans() -> Iterator[testing.Captured]:
    """The spans that fanlight recorded in this test."""
    with testing.capture() as captured:
        yield captured


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    """An OTLP/HTTP server on loopback; OTEL_EXPORTER_OTLP_ENDPOINT points at it."""
    gc.collect()  # calls that earlier tests left half read end here, not at this server
    with OtlpReceiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        yield receiver
        fanlight.uninstrument()
