"""What runs in another thread is part of the action, and is otherwise as without fanlight.

The plain forms of it are in test_situations, too, for calls in a loop of the thread's own.
"""

import asyncio
import contextvars
import multiprocessing.pool
import pickle
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import openai
import pytest
from opentelemetry import context, trace

import fanlight
from fanlight import patches
from fanlight.patches._carry import ProcessTask, carried
from fanlight.testing import Captured
from mock_provider import Provider
from sdk_drivers import MESSAGES
from span_trees import Node, described, plain_call

ASK: Any = {"model": "m", "messages": MESSAGES}
Ask = Callable[[], Any]


def in_threads(ask: Ask) -> None:
    threads = [threading.Thread(target=ask) for _ in range(2)] + [threading.Timer(0.01, ask)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def in_a_subclass(ask: Ask) -> None:
    class Worker(threading.Thread):
        def run(self) -> None:
            ask()

    workers = [Worker(daemon=True) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def in_an_executor(ask: Ask) -> None:
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(ask), *(pool.submit(ask) for _ in range(2))]
        for future in futures:
            future.result()


def in_an_executors_map(ask: Ask) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: ask(), range(3)))


def in_a_thread_pool(ask: Ask) -> None:
    with multiprocessing.pool.ThreadPool(2) as pool:
        pool.map(lambda _: ask(), range(2))
        pool.apply(ask)


def in_a_loops_executor(ask: Ask) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(None, ask) for _ in range(3)))

    asyncio.run(main())


def in_a_thread_of_a_thread(ask: Ask) -> None:
    in_an_executor_of = threading.Thread(target=in_an_executor, args=(ask,))
    in_an_executor_of.start()
    in_an_executor_of.join()


@pytest.mark.parametrize(
    "run",
    [
        in_threads,
        in_a_subclass,
        in_an_executor,
        in_an_executors_map,
        in_a_thread_pool,
        in_a_loops_executor,
        in_a_thread_of_a_thread,
    ],
)
def test_calls_in_threads_are_the_actions(
    provider: Provider, captured: Captured, run: Callable[[Ask], None]
) -> None:
    url = provider.scenario()
    with openai.OpenAI(base_url=url, api_key="k") as client, fanlight.action("answer"), fanlight.agent("a"):
        run(lambda: client.chat.completions.create(**ASK))
    truth = provider.truth(url)
    assert len(truth) == 3
    agent = Node("invoke_agent a", below=tuple(plain_call(asked) for asked in truth))
    assert described(captured) == [Node("answer", below=(agent,))]
    assert not any({"traceparent", "baggage"} & set(asked.headers) for asked in truth)


def test_a_loop_in_a_thread_serves_each_action_as_its_own(captured: Captured) -> None:
    loop = asyncio.new_event_loop()

    async def search() -> None:
        with fanlight.tool("search"):
            await asyncio.sleep(0)

    with fanlight.action("first"):
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        asyncio.run_coroutine_threadsafe(search(), loop).result()
    with fanlight.action("second"):
        asyncio.run_coroutine_threadsafe(search(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    assert [tree.shape() for tree in captured.trees()] == [
        ("first", ["execute_tool search"]),
        ("second", ["execute_tool search"]),
    ]


def test_a_pool_serves_each_action_as_its_own(captured: Captured) -> None:
    def search() -> None:
        with fanlight.tool("search"):
            pass

    with ThreadPoolExecutor(1) as executor, multiprocessing.pool.ThreadPool(1) as pool:
        for name in ("first", "second"):
            with fanlight.action(name):
                executor.submit(search).result()
                pool.apply(search)
        executor.submit(search).result()
        pool.apply(search)
    two = ["execute_tool search"] * 2
    assert [tree.shape() for tree in captured.trees()] == [
        ("first", two),
        ("second", two),
        "execute_tool search",
        "execute_tool search",
    ]


def test_only_opentelemetrys_context_crosses(captured: Captured) -> None:
    own = contextvars.ContextVar("own", default="unset")
    seen: list[str] = []

    def remember() -> None:
        seen.append(own.get())
        own.set("of the worker")

    own.set("of the submitter")
    with fanlight.action("answer"), ThreadPoolExecutor(1) as pool:
        pool.submit(remember).result()
        pool.submit(remember).result()
        thread = threading.Thread(target=remember)
        thread.start()
        thread.join()
    assert seen == ["unset", "of the worker", "unset"]
    assert own.get() == "of the submitter"


def test_the_apps_own_context_values_cross_with_the_action(captured: Captured) -> None:
    token = context.attach(context.set_value("tenant", "acme"))
    with fanlight.action("answer"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(context.get_value, "tenant").result() == "acme"
    context.detach(token)


def test_outside_any_action_nothing_crosses(captured: Captured) -> None:
    token = context.attach(context.set_value("tenant", "acme"))
    assert carried() is None
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(context.get_value, "tenant").result() is None
    context.detach(token)


def test_a_resumed_trace_without_an_action_crosses_too(captured: Captured) -> None:
    with fanlight.resume({"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}), ThreadPoolExecutor(1) as pool:
        found = pool.submit(lambda: trace.get_current_span().get_span_context().trace_id).result()
    assert f"{found:032x}" == "a" * 32


def test_a_thread_looks_and_fails_as_without_fanlight(
    captured: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[type[BaseException], list[str]]] = []

    def excepthook(args: Any) -> None:
        told.append((args.exc_type, functions_of(args.exc_traceback)))

    def fail() -> None:
        raise ValueError("of the app")

    def start() -> tuple[str, set[str]]:
        thread = threading.Thread(target=fail, name="worker", daemon=True)
        thread.start()
        thread.join()
        return repr(thread).partition(" daemon ")[0], set(vars(thread))

    monkeypatch.setattr(threading, "excepthook", excepthook)
    bare = start()
    with fanlight.action("answer"):
        assert start() == bare
    assert told[0] == told[1]


def functions_of(trace: TracebackType | None) -> list[str]:
    return [frame.name for frame in traceback.extract_tb(trace)]


def test_futures_are_as_without_fanlight(captured: Captured) -> None:
    started, release = threading.Event(), threading.Event()

    def wait() -> None:
        started.set()
        release.wait(5)

    with fanlight.action("answer"), ThreadPoolExecutor(1) as pool:
        running: Future[None] = pool.submit(wait)
        started.wait(5)
        waiting = pool.submit(time.time)
        assert type(waiting) is Future
        assert waiting.cancel()
        release.set()
        assert running.result() is None
        failed = pool.submit(lambda: {}["x"])
        with pytest.raises(KeyError, match="'x'"):
            failed.result()
        with pytest.raises(TypeError):
            pool.submit()  # type: ignore[call-arg]  # what the app gets for it
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        pool.submit(time.time)


def test_keyword_arguments_of_any_name_reach_the_function(captured: Captured) -> None:
    def give(**found: int) -> dict[str, int]:
        return found

    named = {"self": 1, "context": 2, "function": 3, "fn": 4, "func": 5, "executor": 6, "pool": 7}
    with fanlight.action("answer"), ThreadPoolExecutor(1) as executor:
        assert executor.submit(give, **named).result() == named
        with multiprocessing.pool.ThreadPool(1) as pool:
            assert pool.apply(give, kwds=named) == named
            assert pool.map(func=str, iterable=[1]) == ["1"]


def test_a_task_pickles_as_its_function_does(captured: Captured) -> None:
    with fanlight.action("answer"):
        found = carried()
    assert found is not None
    assert pickle.loads(pickle.dumps(ProcessTask.of(len, found)))("abc") == 3
    with pytest.raises((AttributeError, pickle.PicklingError), match=r"local object|Can't pickle"):
        pickle.dumps(ProcessTask.of(lambda: 1, found))


def test_no_hook_is_left_on_any_pool() -> None:
    import concurrent.futures.process
    import multiprocessing.process

    owners: list[Any] = [
        threading.Thread,
        ThreadPoolExecutor,
        concurrent.futures.process.ProcessPoolExecutor,
        multiprocessing.pool.Pool,
        multiprocessing.process.BaseProcess,
    ]
    before = [dict(vars(owner)) for owner in owners]
    patches.install_all()
    assert all(dict(vars(owner)) != kept for owner, kept in zip(owners, before, strict=True))
    patches.uninstall_all()
    assert [dict(vars(owner)) for owner in owners] == before
