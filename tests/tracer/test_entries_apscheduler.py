"""APScheduler jobs in real executors: each run is an action of origin `schedule`."""

import asyncio
import importlib
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from apscheduler.executors.base import run_job
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler

import fanlight
import task_apps
from entry_trees import Told, received, told, told_of
from fanlight import patches
from fanlight.patches._apscheduler import MODULES
from fanlight.testing import Captured
from fanlight_schema import attributes as names
from mock_provider import Provider
from otlp_receiver import OtlpReceiver
from serving import eventually


@pytest.fixture
def model(provider: Provider) -> str:
    return provider.scenario()


def run_soon(scheduler: Any, function: Callable[..., object], *arguments: object) -> None:
    scheduler.add_job(function, args=arguments, misfire_grace_time=None)


def test_runs_are_scheduled_actions_whoever_started_the_scheduler(captured: Captured, model: str) -> None:
    scheduler = BackgroundScheduler(timezone=timezone.utc)
    with fanlight.action("set up"):
        scheduler.start()
        for function in (task_apps.nothing, task_apps.call, task_apps.fail):
            run_soon(scheduler, function, *([] if function is task_apps.nothing else [model]))
    actions = sorted(told(captured, 3), key=lambda one: one.name)
    scheduler.shutdown()
    assert actions == [
        Told("call", origin="schedule"),
        Told("fail", origin="schedule", error="ValueError"),
        Told("set up", source="declared", below=()),
    ]


def test_runs_that_were_put_off_are_actions_of_their_own(captured: Captured, model: str) -> None:
    scheduler = BackgroundScheduler(timezone=timezone.utc)
    start = datetime.now(timezone.utc) - timedelta(seconds=2.5)
    scheduler.add_job(
        task_apps.call,
        "interval",
        (model,),
        seconds=1,
        start_date=start,
        end_date=start + timedelta(seconds=2),
        next_run_time=start,
        coalesce=False,
        max_instances=5,
        misfire_grace_time=None,
    )
    scheduler.start()
    assert told(captured, 3) == [Told("call", origin="schedule")] * 3
    scheduler.shutdown()
    assert len({span.attributes[names.ACTION_ID] for span in captured.spans}) == 3


async def test_coroutine_of_an_event_loop_is_an_action(captured: Captured, model: str) -> None:
    scheduler = AsyncIOScheduler(timezone=timezone.utc)
    scheduler.start()
    run_soon(scheduler, task_apps.call_async, model)
    run_soon(scheduler, task_apps.call, model)
    await asyncio.to_thread(told, captured, 2)
    scheduler.shutdown()
    assert sorted(one.name for one in told(captured, 2)) == ["call", "call_async"]
    assert {one.origin for one in told(captured, 2)} == {"schedule"}


def test_job_in_another_process_is_an_action_too(collector: OtlpReceiver, model: str) -> None:
    fanlight.instrument()
    scheduler = BackgroundScheduler(
        timezone=timezone.utc, executors={"default": {"type": "processpool", "max_workers": 1}}
    )
    scheduler.start()
    run_soon(scheduler, task_apps.call, model)
    eventually(lambda: len(collector.spans) >= 2)
    scheduler.shutdown()
    assert told_of(received(collector)) == [Told("call", origin="schedule")]


def test_off_again_every_executor_has_its_own_function_back(captured: Captured) -> None:
    loaded = [
        importlib.import_module(name) for name in MODULES if name.rpartition(".")[2] in ("base", "pool")
    ]
    assert all(hasattr(module.run_job, "__wrapped__") for module in loaded)
    patches.uninstall_all()
    assert not any(hasattr(module.run_job, "__wrapped__") for module in loaded)
    assert {module.run_job for module in loaded} == {getattr(run_job, "__wrapped__", run_job)}
