"""An app's processor may block or call back while an action begins: it holds up nobody else."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider

import fanlight
from fanlight import _entries
from fanlight._entries import Entry, begin
from fanlight._tasks import TaskCaller
from fanlight.testing import Captured
from fanlight_schema import attributes as names

LONG_S = 20.0  # only a test that fails waits for this


class Calling(SpanProcessor):
    """Calls the app back when the root of an action starts."""

    def __init__(self, on_root: Callable[[], object]) -> None:
        self._on_root = on_root

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if span.attributes and span.attributes.get(names.ROLE) == "action":
            self._on_root()


def start(on_root: Callable[[], object]) -> None:
    provider = TracerProvider()
    provider.add_span_processor(Calling(on_root))
    fanlight.instrument(tracer_provider=provider, export=False)


@contextmanager
def inside(entry: Entry) -> Iterator[None]:
    token = attach(entry.context)
    try:
        yield
    finally:
        detach(token)


def step(entry: Entry) -> None:
    with inside(entry), fanlight.tool("search"):
        pass


def declare(entry: Entry) -> None:
    with inside(entry), fanlight.action("answer"):
        pass


def run(work: Callable[[Entry], None], entry: Entry) -> threading.Thread:
    thread = threading.Thread(target=work, args=(entry,), daemon=True)
    thread.start()
    return thread


def request(name: str) -> Entry:
    return begin(TaskCaller(name), Context())


@pytest.mark.parametrize("work", [step, declare])
def test_a_processor_that_blocks_in_one_request_holds_up_no_other(
    captured: Captured, work: Callable[[Entry], None]
) -> None:
    blocked, release = threading.Event(), threading.Event()

    def block_the_first() -> None:
        if not blocked.is_set():
            blocked.set()
            release.wait(LONG_S)

    start(block_the_first)
    first, second = request("first"), request("second")
    stuck = run(work, first)
    assert blocked.wait(LONG_S)
    other = run(work, second)
    other.join(LONG_S / 2)
    went_on = not other.is_alive()
    release.set()
    stuck.join(LONG_S)
    assert went_on
    for entry in (first, second):
        entry.finish()
    assert len(captured.with_role("action")) == 2


def test_a_processor_that_works_for_the_same_request_begins_no_second_action(captured: Captured) -> None:
    entry = request("first")
    again: Iterator[Callable[[], object]] = iter([lambda: step(entry)])
    start(lambda: next(again, int)())
    step(entry)
    entry.finish()
    (root,) = captured.with_role("action")
    steps = captured.with_role("tool")
    assert len(steps) == 2
    assert {span.attributes[names.ACTION_ID] for span in (root, *steps)} == {root.attributes[names.ACTION_ID]}


def test_a_processor_may_wait_for_another_thread_of_the_same_request(
    captured: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_entries, "OPENING_WAIT_S", 0.01)
    entry = request("first")
    alive: list[bool] = []

    def wait_for_a_thread() -> None:
        thread = run(step, entry)
        thread.join(LONG_S / 2)
        alive.append(thread.is_alive())

    start(wait_for_a_thread)
    step(entry)
    entry.finish()
    assert alive == [False]
    (root,) = captured.with_role("action")
    steps = captured.with_role("tool")
    assert len(steps) == 2
    assert {span.attributes[names.ACTION_ID] for span in (root, *steps)} == {root.attributes[names.ACTION_ID]}


def test_what_begins_at_once_in_many_threads_is_below_one_root(captured: Captured) -> None:
    entry = request("first")
    threads: list[threading.Thread] = []

    def let_others_begin() -> None:
        threads.extend(run(step, entry) for _ in range(5))
        threads[0].join(0.05)

    start(let_others_begin)
    step(entry)
    for thread in threads:
        thread.join(LONG_S)
    entry.finish()
    (tree,) = captured.trees()
    assert tree.shape() == ("first", ["execute_tool search"] * 6)
