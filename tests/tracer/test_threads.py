"""Calls in threads that an action started belong to it; other threads stay as they are."""

import concurrent.futures
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import context

import fanlight
from fanlight import patches
from fanlight.testing import Captured
from sdk_drivers import MESSAGES

ASK: Any = {"model": "m", "messages": MESSAGES}
THREE = [("answer", ["chat m", "chat m", "chat m"])]


def shapes(captured: Captured) -> list[object]:
    return [tree.shape() for tree in captured.trees()]


def test_a_pool_forgets_the_action_that_made_it_start_its_threads(captured: Captured) -> None:
    with ThreadPoolExecutor(1) as pool:
        with fanlight.action("first"):
            pool.submit(lambda: fanlight.tool("of the first").__enter__()).result()
        assert pool.submit(lambda: dict(context.get_current())).result() == {}


def test_a_subclass_that_runs_by_itself_is_in_its_action(captured: Captured) -> None:
    class Worker(threading.Thread):
        def run(self) -> None:
            with fanlight.tool("search"):
                pass

    with fanlight.action("answer"):
        worker = Worker()
        worker.start()
        worker.join()
    assert shapes(captured) == [("answer", ["execute_tool search"])]
    assert "run" not in vars(worker)


def test_outside_any_action_threads_are_untouched(captured: Captured) -> None:
    submitted = []

    class Pool(ThreadPoolExecutor):
        def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
            future = super().submit(function, *args, **kwargs)
            submitted.append(function)
            return future

    with Pool(1) as pool:
        assert pool.submit(max, 1, 2).result() == 2
    assert submitted == [max]
    thread = threading.Thread(target=print, kwargs={"end": ""})
    thread.start()
    thread.join()
    with pytest.raises(RuntimeError, match="threads can only be started once"):
        thread.start()


def test_errors_and_results_pass(captured: Captured) -> None:
    with ThreadPoolExecutor(1) as pool, fanlight.action("answer"):
        assert pool.submit(max, 1, 2).result() == 2
        with pytest.raises(ZeroDivisionError):
            pool.submit(lambda: 1 / 0).result()


def test_nothing_is_left_of_it() -> None:
    before = vars(threading.Thread)["start"], vars(concurrent.futures.ThreadPoolExecutor)["submit"]
    patches.install_all()
    assert before[0] is not vars(threading.Thread)["start"]
    patches.uninstall_all()
    assert before == (
        vars(threading.Thread)["start"],
        vars(concurrent.futures.ThreadPoolExecutor)["submit"],
    )
