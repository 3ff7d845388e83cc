"""RQ jobs on a real Redis: part of the action that enqueued them, else actions of their own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Queue, Repeat, Retry, SimpleWorker
from rq.cron import CronJob
from rq.job import Job

import fanlight
import task_apps
from entry_trees import Told, received, told, told_of
from fanlight import patches
from fanlight.testing import Captured
from fanlight_schema import attributes as names
from mock_provider import Provider
from otlp_receiver import OtlpReceiver
from redis_server import running_redis
from running import clean_environment
from serving import eventually

SUPPORT = Path(__file__).parents[1] / "support"
AUTO = Path(fanlight.__file__).parent / "_auto"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def queue(redis_url: str) -> Iterator[Queue]:
    with Redis.from_url(redis_url) as connection:
        connection.flushall()
        yield Queue(connection=connection)


@pytest.fixture
def model(provider: Provider) -> str:
    return provider.scenario()


def work(queue: Queue) -> None:
    """All jobs that stand in the queue, in this process."""
    SimpleWorker([queue], connection=queue.connection).work(burst=True, logging_level="CRITICAL")


def test_job_that_nobodys_action_enqueued_is_an_action(captured: Captured, queue: Queue, model: str) -> None:
    queue.enqueue(task_apps.nothing)
    queue.enqueue(task_apps.call, model)
    queue.enqueue(task_apps.call_async, model)
    work(queue)
    assert told(captured, 2) == [
        Told("task_apps.call", origin="system"),
        Told("task_apps.call_async", origin="system"),
    ]


def test_job_enqueued_inside_an_action_belongs_to_it(captured: Captured, queue: Queue, model: str) -> None:
    with fanlight.action("ask", user="u-1"):
        queue.enqueue(task_apps.call, model)
        queue.enqueue_in(timedelta(0), task_apps.call, model, meta={"app": 1})
        queue.enqueue_many([Queue.prepare_data(task_apps.call, (model,))])
    work(queue)
    assert [one.below for one in told(captured)] == [("chat m", "chat m")]
    assert {span.attributes[names.USER_ID] for span in captured.spans} == {"u-1"}


def test_failure_of_a_job_marks_its_action(captured: Captured, queue: Queue, model: str) -> None:
    queue.enqueue(task_apps.fail, model)
    work(queue)
    assert told(captured) == [Told("task_apps.fail", origin="system", error="ValueError")]


def test_second_try_belongs_to_the_action_of_the_first(
    captured: Captured, queue: Queue, model: str, tmp_path: Path
) -> None:
    queue.enqueue(task_apps.call_or_fail, model, str(tmp_path / "tried"), retry=Retry(max=1))
    work(queue)
    assert told(captured) == [Told("task_apps.call_or_fail", origin="system", below=("chat m", "chat m"))]


def test_runs_of_a_cron_and_of_a_repeated_job_are_scheduled_actions(
    captured: Captured, queue: Queue, model: str
) -> None:
    with fanlight.action("set up"):
        CronJob("default", func=task_apps.call, args=(model,), interval=60).enqueue(queue.connection)
        queue.enqueue(task_apps.call, model, repeat=Repeat(times=1))
    work(queue)
    run = Told("task_apps.call", origin="schedule")
    assert told(captured, 4) == [Told("set up", source="declared", below=()), run, run, run]
    assert len({span.attributes[names.ACTION_ID] for span in captured.spans}) == 4


def test_job_of_another_class_stays_of_that_class(captured: Captured, queue: Queue) -> None:
    class Mine(Job):
        pass

    assert type(Mine.create(task_apps.nothing, connection=queue.connection)) is Mine


def test_forked_work_horse_delivers_before_it_ends(
    collector: OtlpReceiver, queue: Queue, redis_url: str, model: str
) -> None:
    """The worker is a program of its own, traced without a line of code; each job is a process again."""
    environment = {
        **clean_environment(),
        "PYTHONPATH": os.pathsep.join([str(AUTO), str(SUPPORT), *filter(None, sys.path)]),
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
    }
    fanlight.instrument()
    with fanlight.action("ask", user="u-1"):
        queue.enqueue(task_apps.call, model)
    queue.enqueue(task_apps.call, model)
    command = [sys.executable, "-m", "rq.cli", "worker", "--burst", "--url", redis_url]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    eventually(lambda: len(collector.spans) >= 4)
    assert told_of(received(collector)) == [
        Told("ask", user="u-1", source="declared"),
        Told("task_apps.call", origin="system"),
    ]


def test_off_again_jobs_carry_nothing(captured: Captured, queue: Queue) -> None:
    watched: tuple[Any, ...] = (Job.create, Job.perform, SimpleWorker.perform_job, CronJob.enqueue)
    assert all(hasattr(method, "__wrapped__") for method in watched)
    patches.uninstall_all()
    watched = (Job.create, Job.perform, SimpleWorker.perform_job, CronJob.enqueue)
    assert not any(hasattr(method, "__wrapped__") for method in watched)
    with fanlight.action("ask"):
        assert queue.enqueue(task_apps.nothing).meta == {}
