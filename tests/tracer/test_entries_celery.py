"""Celery tasks in real workers: part of the action that sent them, else actions of their own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flask
import pytest
from celery import signals
from celery.beat import ScheduleEntry, Scheduler
from celery.contrib.testing.worker import start_worker

import fanlight
from entry_trees import Told, received, told, told_of
from fanlight import patches
from fanlight.testing import Captured
from fanlight_schema import attributes as names
from mock_provider import Provider
from otlp_receiver import OtlpReceiver
from running import clean_environment
from serving import ask, eventually, served_wsgi

SUPPORT = Path(__file__).parents[1] / "support"
AUTO = Path(fanlight.__file__).parent / "_auto"

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def worker() -> Iterator[Any]:
    """A worker in a thread of this process, older than what watches it."""
    import task_apps

    def leave_logging(**_: object) -> None:
        """With a receiver here Celery does not set the level of the root logger, for all other tests."""

    signals.setup_logging.connect(leave_logging)
    with start_worker(task_apps.app, pool="solo", perform_ping_check=False):
        yield task_apps
    signals.setup_logging.disconnect(leave_logging)


@pytest.fixture
def tasks(worker: Any, captured: Captured) -> Any:
    """The tasks of the worker, watched."""
    return worker


@pytest.fixture
def model(provider: Provider) -> str:
    return provider.scenario()


def test_task_that_nobodys_action_sent_is_an_action(captured: Captured, tasks: Any, model: str) -> None:
    tasks.quiet.delay()
    tasks.answer.delay(model)
    assert told(captured) == [Told("app.answer", origin="system")]
    root = captured.named("app.answer")
    assert root.attributes[names.ACTION_ID] == root.trace_id


def test_task_sent_inside_an_action_belongs_to_it(captured: Captured, tasks: Any, model: str) -> None:
    with fanlight.action("ask", user="u-1"), fanlight.agent("planner"):
        tasks.answer.delay(model)
    eventually(lambda: captured.with_role("call"))
    assert told(captured) == [
        Told("ask", user="u-1", source="declared", below=(("invoke_agent planner", ["chat m"]),))
    ]


def test_failure_of_a_task_marks_its_action(captured: Captured, tasks: Any, model: str) -> None:
    tasks.failing.delay(model)
    assert told(captured) == [Told("app.failing", origin="system", error="ValueError")]


def test_declared_action_in_a_task_takes_its_place(captured: Captured, tasks: Any, model: str) -> None:
    tasks.declared.delay(model)
    assert told(captured) == [Told("answer", source="declared", user="u-task")]


def test_declared_action_in_a_task_of_an_action_is_a_step(captured: Captured, tasks: Any, model: str) -> None:
    with fanlight.action("ask"):
        tasks.declared.delay(model)
    eventually(lambda: captured.with_role("call") and captured.with_role("agent"))
    assert told(captured) == [Told("ask", source="declared", below=(("invoke_agent answer", ["chat m"]),))]


def test_second_try_belongs_to_the_action_of_the_first(
    captured: Captured, tasks: Any, model: str, tmp_path: Path
) -> None:
    tasks.flaky.delay(model, str(tmp_path / "tried"))
    eventually(lambda: len(captured.with_role("call")) == 2)
    assert told(captured) == [Told("app.flaky", origin="system", below=("chat m", "chat m"))]


def test_next_task_of_a_chain_belongs_to_the_first(captured: Captured, tasks: Any, model: str) -> None:
    (tasks.answer.si(model) | tasks.answer.si(model)).delay()
    eventually(lambda: len(captured.with_role("call")) == 2)
    assert told(captured) == [Told("app.answer", origin="system", below=("chat m", "chat m"))]


def test_run_of_an_untraced_beat_is_known_by_the_header_of_beat(
    captured: Captured, tasks: Any, model: str
) -> None:
    tasks.answer.apply_async((model,), headers={"celery_beat_task": True})
    assert told(captured) == [Told("app.answer", origin="schedule")]


def test_run_of_a_beat_that_writes_no_header_is_known_by_the_hook(
    captured: Captured, tasks: Any, model: str
) -> None:
    """As of Celery before 5.7; also where somebody's action started beat."""

    def drop(headers: dict[str, object], **_: object) -> None:
        headers.pop("celery_beat_task", None)

    signals.before_task_publish.connect(drop)
    entry = ScheduleEntry("often", "app.answer", args=(model,), schedule=1, app=tasks.app)
    with fanlight.action("set up"):
        Scheduler(tasks.app, lazy=True).apply_async(entry, advance=False)
    signals.before_task_publish.disconnect(drop)
    assert told(captured, 2) == [
        Told("set up", source="declared", below=()),
        Told("app.answer", origin="schedule"),
    ]


def test_task_called_in_place_belongs_to_who_called_it(captured: Captured, tasks: Any, model: str) -> None:
    with fanlight.action("ask"):
        tasks.answer.apply((model,))
    assert told(captured) == [Told("ask", source="declared")]


def test_off_again_messages_carry_nothing_and_no_receiver_is_left(captured: Captured, tasks: Any) -> None:
    watched = (signals.before_task_publish, signals.task_prerun, signals.task_postrun)
    before = [len(signal.receivers) for signal in watched]
    patches.uninstall_all()
    assert [len(signal.receivers) for signal in watched] == [count - 1 for count in before]


@contextmanager
def celery_program(folder: Path, collector: OtlpReceiver, model: str, *arguments: str) -> Iterator[None]:
    """`celery ...` in a process of its own, traced without a line of code."""
    (folder / "control").mkdir(exist_ok=True)
    environment = {
        **clean_environment(),
        "PYTHONPATH": os.pathsep.join([str(AUTO), str(SUPPORT), *filter(None, sys.path)]),
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "CELERY_BROKER": "filesystem://",
        "BROKER_FOLDER": str(folder),
        "PROVIDER_URL": model,
    }
    command = [sys.executable, "-m", "celery", "-A", "task_apps", *arguments]
    with (folder / "celery.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


# Each task is the last one of its process, which must deliver what it recorded before it ends.
ONE_EACH = ("--concurrency", "1", "--max-tasks-per-child", "1")
WORKER = ("worker", "--pool", "prefork", *ONE_EACH, "--without-gossip", "--without-mingle")


def sender(folder: Path) -> Any:
    """The tasks as another process has them: by name alone."""
    from celery import Celery

    options = {
        "data_folder_in": str(folder),
        "data_folder_out": str(folder),
        "control_folder": str(folder / "control"),
    }
    return Celery(broker="filesystem://", broker_transport_options=options, set_as_current=False)


@pytest.mark.parametrize("request_calls", [True, False])
def test_task_in_another_process_lands_in_the_action_of_the_request(
    tmp_path: Path, collector: OtlpReceiver, model: str, request_calls: bool
) -> None:
    """Also where the request itself calls no model: the worker writes the root then."""
    fanlight.instrument(user="x-user")
    app, celery = flask.Flask("app"), sender(tmp_path)

    @app.post("/jobs/<id>")
    def enqueue(id: str) -> str:  # noqa: A002
        import task_apps

        if request_calls:
            task_apps.call(model)
        for _ in range(2):
            celery.send_task("app.answer", (model,))
        return "accepted"

    with celery_program(tmp_path, collector, model, *WORKER), served_wsgi(app) as url:
        ask(f"{url}/jobs/1", x_user="u-1")
        eventually(lambda: len(collector.spans) >= 4)  # a root and three calls, or two roots of one call
    whole = [Told("POST /jobs/<id>", user="u-1", below=("chat m",) * 3)]
    parts = [Told("app.answer", user="u-1")] * 2
    assert told_of(received(collector)) == (whole if request_calls else parts)
    spans = received(collector).spans
    assert {span.attributes[names.ACTION_ID] for span in spans} == {spans[0].trace_id}
    assert {span.attributes[names.ACTION_NAME] for span in spans} == {"POST /jobs/<id>"}


def test_what_beat_sends_is_scheduled(tmp_path: Path, collector: OtlpReceiver, model: str) -> None:
    beat = ("--beat", "--schedule", str(tmp_path / "schedule"))
    with celery_program(tmp_path, collector, model, *WORKER, *beat):
        eventually(lambda: len(collector.spans) >= 4)
    assert told_of(received(collector))[:2] == [Told("app.answer", origin="schedule")] * 2
