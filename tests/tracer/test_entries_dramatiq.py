"""Dramatiq actors in real worker threads: part of the action that sent them, else actions of their own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import AsyncIO

import fanlight
import task_apps
from entry_trees import Told, told
from fanlight import patches
from fanlight.testing import Captured
from mock_provider import Provider
from serving import eventually


@pytest.fixture(scope="module")
def broker() -> Iterator[StubBroker]:
    """A broker and a worker that are older than what watches them."""
    made = StubBroker()
    made.add_middleware(AsyncIO())
    for function in (task_apps.call, task_apps.call_async, task_apps.fail, task_apps.nothing):
        dramatiq.actor(function, broker=made, max_retries=0)
    dramatiq.actor(task_apps.call_or_fail, broker=made, max_retries=1, min_backoff=1)
    dramatiq.set_broker(made)
    worker = dramatiq.Worker(made, worker_timeout=20, worker_threads=2)
    worker.start()
    yield made
    worker.stop()


@pytest.fixture
def model(provider: Provider) -> str:
    return provider.scenario()


def send(broker: StubBroker, name: str, *arguments: Any) -> None:
    broker.get_actor(name).send(*arguments)


def test_message_that_nobodys_action_sent_is_an_action(
    captured: Captured, broker: StubBroker, model: str
) -> None:
    send(broker, "nothing")
    send(broker, "call", model)
    assert told(captured) == [Told("call", origin="system")]


def test_async_actor_is_an_action(captured: Captured, broker: StubBroker, model: str) -> None:
    send(broker, "call_async", model)
    assert told(captured) == [Told("call_async", origin="system")]


def test_message_sent_inside_an_action_belongs_to_it(
    captured: Captured, broker: StubBroker, model: str
) -> None:
    with fanlight.action("ask", user="u-1"):
        send(broker, "call", model)
        broker.get_actor("call").send_with_options(args=(model,), delay=1)
    eventually(lambda: len(captured.with_role("call")) == 2)
    assert told(captured) == [Told("ask", user="u-1", source="declared", below=("chat m", "chat m"))]


def test_failure_of_an_actor_marks_its_action(captured: Captured, broker: StubBroker, model: str) -> None:
    send(broker, "fail", model)
    assert told(captured) == [Told("fail", origin="system", error="ValueError")]


def test_second_try_belongs_to_the_action_of_the_first(
    captured: Captured, broker: StubBroker, model: str, tmp_path: Path
) -> None:
    send(broker, "call_or_fail", model, str(tmp_path / "tried"))
    eventually(lambda: len(captured.with_role("call")) == 2)
    assert told(captured) == [Told("call_or_fail", origin="system", below=("chat m", "chat m"))]


def test_off_again_messages_carry_nothing(captured: Captured, broker: StubBroker) -> None:
    assert hasattr(dramatiq.Broker.emit_before, "__wrapped__")
    patches.uninstall_all()
    assert not hasattr(dramatiq.Broker.emit_before, "__wrapped__")
    assert not hasattr(dramatiq.Broker.emit_after, "__wrapped__")
    with fanlight.action("ask"):
        assert broker.get_actor("nothing").send().options == {}
