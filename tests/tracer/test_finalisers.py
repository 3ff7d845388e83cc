"""The garbage collector may run anywhere, also inside a lock of the app: no span ends there."""

import gc
import threading
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

import fanlight
from fanlight.testing import Captured
from otlp_receiver import OtlpReceiver


class Locking(SpanProcessor):
    """A processor of an app that keeps its spans under an ordinary lock, in which a collection happens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.names: list[str] = []
        self.stuck = False

    def on_end(self, span: ReadableSpan) -> None:
        if not self._lock.acquire(blocking=False):  # an app would wait here for ever
            self.stuck = True
            return
        gc.collect()
        self.names.append(span.name)
        self._lock.release()


@pytest.fixture
def locking() -> Iterator[Locking]:
    gc.collect()
    gc.disable()
    yield Locking()
    gc.enable()


def start(processor: SpanProcessor, *, export: bool) -> None:
    provider = TracerProvider()
    provider.add_span_processor(processor)
    fanlight.instrument(tracer_provider=provider, export=export)


def drop_a_generator_in_a_cycle() -> None:
    @fanlight.tool
    def pages() -> Iterator[int]:
        yield from range(10)

    cycle: list[object] = [generator := pages()]
    next(generator)
    cycle.append(cycle)


def test_a_span_that_the_collector_ends_does_not_enter_the_apps_processor(locking: Locking) -> None:
    start(locking, export=False)
    drop_a_generator_in_a_cycle()
    with fanlight.tool("search"):
        pass
    assert (locking.stuck, locking.names) == (False, ["execute_tool search"])
    with fanlight.tool("later"):
        assert locking.names == ["execute_tool search", "execute_tool pages"]


def test_a_flush_delivers_what_the_collector_ended(collector: OtlpReceiver, locking: Locking) -> None:
    start(locking, export=True)
    drop_a_generator_in_a_cycle()
    gc.collect()
    assert fanlight.flush()
    assert [span.name for span in collector.spans] == locking.names == ["execute_tool pages"]


def test_the_exporter_delivers_what_the_collector_ended(collector: OtlpReceiver, locking: Locking) -> None:
    start(locking, export=True)
    with fanlight.tool("search"):
        pass
    drop_a_generator_in_a_cycle()
    gc.collect()
    assert {span.name for span in collector.wait_for(2)} == {"execute_tool search", "execute_tool pages"}


def test_what_the_collector_ended_has_its_own_time(spans: Captured) -> None:
    drop_a_generator_in_a_cycle()
    gc.collect()
    with fanlight.tool("later"):
        pass
    pages, later = spans.spans
    assert pages.name == "execute_tool pages"
    assert pages.end_time_ns <= later.start_time_ns


def test_no_callback_is_left_with_the_collector() -> None:
    before = list(gc.callbacks)
    fanlight.instrument(export=False)
    assert len(gc.callbacks) == len(before) + 1
    fanlight.uninstrument()
    assert gc.callbacks == before
