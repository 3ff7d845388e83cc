"""A Celery app, RQ jobs and APScheduler jobs as an app has them: what its workers import.

CELERY_BROKER is the broker's URL and, for `filesystem://`, BROKER_FOLDER where the messages lie.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import openai
from celery import Celery

import fanlight

MESSAGES: Any = [{"role": "user", "content": "Say something about the window."}]


class Flaky(Exception):
    """What a task raises that shall be tried again."""


def call(url: str) -> None:
    with openai.OpenAI(base_url=url, api_key="k") as client:
        client.chat.completions.create(model="m", messages=MESSAGES)


def call_or_fail(url: str, marker: str) -> None:
    """Calls; at its first try it fails afterwards."""
    call(url)
    first = not Path(marker).exists()
    Path(marker).touch()
    if first:
        raise Flaky("secret")


def call_declared(url: str) -> None:
    with fanlight.action("answer", user="u-task"):
        call(url)


async def call_async(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=url, api_key="k") as client:
        await client.chat.completions.create(model="m", messages=MESSAGES)


def fail(url: str) -> None:
    call(url)
    raise ValueError("secret")


def nothing() -> None:
    """A task without a call."""


app = Celery("task_apps", broker=os.environ.get("CELERY_BROKER", "memory://"))
app.conf.update(
    task_ignore_result=True, worker_hijack_root_logger=False, broker_connection_retry_on_startup=True
)
app.conf.broker_transport_options = {"polling_interval": 0.05}
if "BROKER_FOLDER" in os.environ:
    folder = os.environ["BROKER_FOLDER"]
    app.conf.broker_transport_options = {
        "data_folder_in": folder,
        "data_folder_out": folder,
        "control_folder": f"{folder}/control",
        "polling_interval": 0.2,
    }
app.conf.beat_schedule = {
    "often": {
        "task": "app.answer",
        "schedule": 0.5,
        "args": (os.environ.get("PROVIDER_URL", ""),),
    }
}

answer = app.task(call, name="app.answer")
failing = app.task(fail, name="app.failing")
quiet = app.task(nothing, name="app.quiet")
declared = app.task(call_declared, name="app.declared")


@app.task(name="app.flaky", bind=True)
def flaky(self: Any, url: str, marker: str) -> None:
    try:
        call_or_fail(url, marker)
    except Flaky as error:
        raise self.retry(exc=error, countdown=0) from error
