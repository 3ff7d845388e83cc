"""The tracer's own failures: the app never sees one, each is counted, and it is logged once."""

import asyncio
import threading

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import fanlight
from fanlight import _guard
from fanlight._runtime import runtime
from fanlight._spans import LiveSpan, start_span
from fanlight.testing import Captured


class Hostile:
    """A value that fails wherever it is looked at."""

    def __str__(self) -> str:
        raise ZeroDivisionError("hostile")

    __repr__ = __str__


class BrokenSink:
    def accept(self, span: LiveSpan) -> None:
        raise OSError("broken")

    def flush(self, timeout_s: float) -> bool:
        raise OSError("broken")

    def shutdown(self, timeout_s: float) -> bool:
        raise OSError("broken")

    def after_fork(self) -> None:
        return


@pytest.fixture(autouse=True)
def swallowing(fresh_tracer: None) -> None:
    """As in an app, not as in the other tests."""
    _guard.raise_errors(False)


def test_user_that_cannot_be_written_fails_nothing(spans: Captured, caplog: pytest.LogCaptureFixture) -> None:
    with fanlight.action("answer", user=Hostile()):  # type: ignore[arg-type]  # what is tested
        fanlight.set_user(Hostile())  # type: ignore[arg-type]  # what is tested
        fanlight.set_user(Hostile())  # type: ignore[arg-type]  # what is tested
        with fanlight.action("inner"):
            pass
    assert _guard.error_counts() == {"steps.begin": 1}
    assert len(caplog.messages) == 2  # and that set_user had no action to speak of


def test_broken_sink_fails_nothing_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    runtime.on, runtime.sink = True, BrokenSink()
    with fanlight.action("answer"), fanlight.tool("search"):
        pass
    assert fanlight.flush() is False
    assert fanlight.shutdown() is False
    assert _guard.error_counts() == {"spans.end": 2, "instrument.flush": 1, "instrument.shutdown": 1}
    assert [message.split(" (")[0] for message in caplog.messages] == [
        "fanlight: failed in spans.end",
        "fanlight: failed in instrument.flush",
        "fanlight: failed in instrument.shutdown",
    ]


def test_broken_provider_of_the_app_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    spans = Captured()

    class Broken(trace.TracerProvider):
        def get_tracer(self, *args: object, **kwargs: object) -> trace.Tracer:
            raise OSError("broken")

    fanlight.instrument(tracer_provider=Broken(), export=False)
    runtime.sink = spans
    with fanlight.action("answer"):
        pass
    assert spans.named("answer")
    assert "fanlight: failed in instrument._use_provider" in caplog.text


def test_processor_of_the_app_that_fails_does_not_lose_our_span(spans: Captured) -> None:
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

    class Broken(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            raise OSError("broken")

    provider = TracerProvider()
    provider.add_span_processor(Broken())
    runtime.tracer = provider.get_tracer("fanlight")
    with fanlight.action("answer"):
        pass
    assert spans.named("answer")


def test_exception_of_the_app_that_cannot_be_written_passes_unchanged(spans: Captured) -> None:
    class HostileError(Hostile, Exception):
        pass

    runtime.error_messages = True
    error = HostileError()
    with pytest.raises(HostileError) as caught, fanlight.tool("search"):
        raise error
    assert caught.value is error
    assert spans.named("execute_tool search").attributes["error.type"].endswith("HostileError")  # type: ignore[union-attr]  # it is text


def test_an_error_that_cannot_be_written_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    class HostileError(Hostile, Exception):
        pass

    with _guard.guard("here"):
        raise HostileError
    assert _guard.error_counts() == {"here": 1}
    assert caplog.messages[0].startswith("fanlight: failed in here (HostileError: without a text)")


def test_cancellation_passes_a_guard() -> None:
    with pytest.raises(asyncio.CancelledError), _guard.guard("here"):
        raise asyncio.CancelledError
    assert _guard.error_counts() == {}


def test_guarded_function_gives_none_instead_of_raising() -> None:
    @_guard.guarded
    def fail(number: int) -> int:
        return 1 // number

    assert fail(1) == 1
    assert fail(0) is None
    _guard.raise_errors(True)
    with pytest.raises(ZeroDivisionError):
        fail(0)


def test_span_that_many_threads_end_is_ended_once(spans: Captured) -> None:
    for _ in range(50):
        span = start_span("chat m", "call")
        threads = [threading.Thread(target=span.end) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(spans.spans) == 50


def test_wrapping_something_unknown_gives_it_back() -> None:
    thing = object()
    assert fanlight.wrap(thing) is thing


def test_tracer_of_the_app_that_fails_does_not_lose_our_span(spans: Captured) -> None:
    class Broken(trace.NoOpTracer):
        def start_span(self, *args: object, **kwargs: object) -> trace.Span:
            raise OSError("broken")

    runtime.tracer = Broken()
    with fanlight.action("answer"), fanlight.tool("search"):
        pass
    assert [tree.shape() for tree in spans.trees()] == [("answer", ["execute_tool search"])]
