"""Decorators: functions of every kind keep behaving as they did, with a span around each call."""

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator, Iterator

import pytest
from opentelemetry import trace

import fanlight
from fanlight.testing import Captured


def current_name() -> str | None:
    return getattr(trace.get_current_span(), "name", None)


def test_plain_function_keeps_its_name_signature_and_result(spans: Captured) -> None:
    @fanlight.tool("search")
    def look_up(query: str, limit: int = 3) -> str:
        """Finds things."""
        return f"{query}/{limit}/{current_name()}"

    assert look_up("q") == "q/3/execute_tool search"
    assert look_up.__name__ == "look_up"
    assert look_up.__doc__ == "Finds things."
    assert list(inspect.signature(look_up).parameters) == ["query", "limit"]
    assert current_name() is None


def test_bare_decorator_takes_the_functions_name(spans: Captured) -> None:
    @fanlight.action
    @fanlight.agent()
    @fanlight.tool
    def research() -> None: ...

    research()
    assert [tree.shape() for tree in spans.trees()] == [
        ("research", [("invoke_agent research", ["execute_tool research"])])
    ]


def test_method_can_be_a_step(spans: Captured) -> None:
    class Agent:
        @fanlight.agent("worker")
        def work(self, text: str) -> str:
            return text.upper()

    assert Agent().work("x") == "X"
    assert spans.named("invoke_agent worker")


async def test_coroutine_function_stays_one(spans: Captured) -> None:
    @fanlight.agent("planner")
    async def plan() -> str | None:
        await asyncio.sleep(0)
        return current_name()

    assert inspect.iscoroutinefunction(plan)
    assert await plan() == "invoke_agent planner"


async def test_parallel_steps_are_siblings(spans: Captured) -> None:
    @fanlight.tool
    async def search(number: int) -> int:
        await asyncio.sleep(0.001 * number)
        return number

    with fanlight.action("answer"):
        assert await asyncio.gather(search(2), search(1), asyncio.create_task(search(0))) == [2, 1, 0]
    assert [tree.shape() for tree in spans.trees()] == [("answer", ["execute_tool search"] * 3)]


async def test_cancelled_step_ends_as_failed_and_stays_cancelled(spans: Captured) -> None:
    @fanlight.agent("slow")
    async def slow() -> None:
        await asyncio.sleep(10)

    task = asyncio.create_task(slow())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    span = spans.named("invoke_agent slow")
    assert span.attributes["error.type"] == "asyncio.exceptions.CancelledError"
    assert span.status is trace.StatusCode.ERROR


def numbers(log: list[object]) -> Iterator[int]:
    try:
        for number in range(3):
            log.append(current_name())
            sent = yield number
            if sent is not None:
                log.append(sent)
    finally:
        log.append(f"closed in {current_name()}")


def test_generators_span_is_current_only_while_its_body_runs(spans: Captured) -> None:
    log: list[object] = []
    stream = fanlight.tool("stream")(numbers)(log)
    assert inspect.isgenerator(stream)
    outside = []
    for _ in stream:
        outside.append(current_name())
        with fanlight.tool("consumer"):
            pass
    assert outside == [None] * 3
    assert log == ["execute_tool stream"] * 3 + ["closed in execute_tool stream"]
    assert [tree.shape() for tree in spans.trees()] == ["execute_tool stream"] + ["execute_tool consumer"] * 3


def test_generator_keeps_send_throw_and_return(spans: Captured) -> None:
    @fanlight.tool("echo")
    def echo() -> Iterator[object]:
        received: object = None
        while received != "stop":
            try:
                received = yield received
            except KeyError as error:
                received = repr(error)
        return "done"

    stream = echo()
    assert next(stream) is None
    assert stream.send("a") == "a"  # type: ignore[attr-defined]  # a generator, as its annotation hides
    assert stream.throw(KeyError("k")) == "KeyError('k')"  # type: ignore[attr-defined]  # the same
    with pytest.raises(StopIteration) as stopped:
        stream.send("stop")  # type: ignore[attr-defined]  # the same
    assert stopped.value.value == "done"
    assert spans.named("execute_tool echo").status is trace.StatusCode.UNSET


def test_generator_that_is_closed_ends_its_span_once(spans: Captured) -> None:
    log: list[object] = []
    stream = fanlight.tool("stream")(numbers)(log)
    assert next(stream) == 0
    stream.close()  # type: ignore[attr-defined]  # a generator, as its annotation hides
    stream.close()  # type: ignore[attr-defined]  # the same
    assert log[-1] == "closed in execute_tool stream"
    assert spans.named("execute_tool stream").status is trace.StatusCode.UNSET


def test_generator_that_is_dropped_ends_its_span(spans: Captured) -> None:
    for _ in fanlight.tool("stream")(numbers)([]):
        break
    gc.collect()
    assert spans.named("execute_tool stream")


def test_generator_that_is_never_begun_has_no_span(spans: Captured) -> None:
    fanlight.tool("stream")(numbers)([])
    gc.collect()
    assert spans.spans == []


def test_generators_error_passes_and_marks_the_span(spans: Captured) -> None:
    @fanlight.tool("broken")
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(broken())
    assert spans.named("execute_tool broken").attributes["error.type"] == "OSError"


def test_step_that_a_generator_holds_open_stays_its_own(spans: Captured) -> None:
    @fanlight.agent("outer")
    def outer() -> Iterator[str | None]:
        with fanlight.tool("inner"):
            yield current_name()
            yield current_name()
        yield current_name()

    seen = []
    for name in outer():
        seen.append(name)
        assert current_name() is None
    assert seen == ["execute_tool inner", "execute_tool inner", "invoke_agent outer"]
    assert [tree.shape() for tree in spans.trees()] == [("invoke_agent outer", ["execute_tool inner"])]


async def letters(log: list[object]) -> AsyncIterator[str]:
    try:
        for letter in "abc":
            await asyncio.sleep(0)
            log.append(current_name())
            yield letter
    finally:
        await asyncio.sleep(0)
        log.append(f"closed in {current_name()}")


async def test_async_generators_span_is_current_only_while_its_body_runs(spans: Captured) -> None:
    log: list[object] = []
    stream = fanlight.agent("writer")(letters)
    assert inspect.isasyncgenfunction(stream)
    async for _ in stream(log):
        assert current_name() is None
    assert log == ["invoke_agent writer"] * 3 + ["closed in invoke_agent writer"]
    assert spans.named("invoke_agent writer").status is trace.StatusCode.UNSET


async def test_async_generator_that_is_broken_out_of_ends_its_span(spans: Captured) -> None:
    log: list[object] = []
    async for _ in fanlight.agent("writer")(letters)(log):
        break
    gc.collect()
    await asyncio.sleep(0.02)  # the event loop closes it in a task of its own
    assert log[-1] == "closed in invoke_agent writer"
    assert spans.named("invoke_agent writer").status is trace.StatusCode.UNSET


async def test_async_generator_that_is_closed_ends_its_span_once(spans: Captured) -> None:
    stream = fanlight.agent("writer")(letters)([])
    assert await anext(stream) == "a"
    await stream.aclose()  # type: ignore[attr-defined]  # a generator, as its annotation hides
    await stream.aclose()  # type: ignore[attr-defined]  # the same
    assert spans.named("invoke_agent writer").status is trace.StatusCode.UNSET


async def test_cancelled_async_generator_ends_its_span(spans: Captured) -> None:
    @fanlight.agent("slow")
    async def slow() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(10)

    async def consume() -> None:
        async for _ in slow():
            pass

    task = asyncio.create_task(consume())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert spans.named("invoke_agent slow").attributes["error.type"] == "asyncio.exceptions.CancelledError"


def test_step_in_the_apps_own_async_generator_survives_its_close_elsewhere(
    spans: Captured, caplog: pytest.LogCaptureFixture
) -> None:
    async def stream() -> AsyncIterator[int]:
        with fanlight.tool("held"):
            yield 1
            yield 2

    async def main() -> None:
        async for _ in stream():
            break
        gc.collect()
        await asyncio.sleep(0.02)

    asyncio.run(main())
    assert spans.named("execute_tool held").status is trace.StatusCode.UNSET
    assert caplog.messages == []


def test_span_that_everybody_forgot_is_ended_as_abandoned(spans: Captured) -> None:
    from fanlight._spans import start_span

    start_span("chat m", "call")
    assert spans.named("chat m").attributes["error.type"] == "abandoned"
