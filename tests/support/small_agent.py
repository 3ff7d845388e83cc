"""A small agent as a user of fanlight writes it: an OpenAI client, wrapped; a planner, workers in threads.

    OPENAI_BASE_URL=... OTEL_EXPORTER_OTLP_ENDPOINT=... python tests/support/small_agent.py MODEL

User u-N asks N times. The K-th time the planner's call is refused K-1 times and then answered, and K workers
run at once; each looks something up with a tool and makes one plain and one streamed call.
"""

import contextvars
import json
import sys
from concurrent.futures import ThreadPoolExecutor

from openai import OpenAI

import fanlight

USERS = 3
PLANNER = {"input": 2_000, "cached": 1_024, "output": 150}
WORKER = {"input": 5_000, "cached": 4_096, "output": 300}


def ask(client: OpenAI, model: str, user: str, order: dict[str, object], *, stream: bool = False) -> None:
    messages = [{"role": "user", "content": json.dumps(order)}]
    if not stream:
        client.chat.completions.create(model=model, user=user, messages=messages)
        return
    options = {"include_usage": True}
    with client.chat.completions.create(
        model=model, user=user, messages=messages, stream=True, stream_options=options
    ) as chunks:
        for _ in chunks:
            pass


def work(client: OpenAI, model: str, user: str, task: str) -> None:
    with fanlight.agent("worker"):
        with fanlight.tool("search"):
            pass
        ask(client, model, user, {"id": f"{task}/plain", **WORKER})
        ask(client, model, user, {"id": f"{task}/stream", **WORKER}, stream=True)


def answer(client: OpenAI, model: str, user: str, turn: int) -> None:
    with fanlight.action("research", user=user, session=f"s-{user}"):
        with fanlight.agent("planner"):
            ask(client, model, user, {"id": f"{user}/{turn}/plan", "refuse": turn - 1, **PLANNER})
        tasks = [f"{user}/{turn}/{worker}" for worker in range(turn)]
        with ThreadPoolExecutor(turn) as pool:
            started = [
                pool.submit(contextvars.copy_context().run, work, client, model, user, task) for task in tasks
            ]
        for finished in started:
            finished.result()


def main() -> None:
    client = fanlight.wrap(OpenAI(max_retries=5))
    for number in range(1, USERS + 1):
        for turn in range(1, number + 1):
            answer(client, sys.argv[1], f"u-{number}", turn)
    if not fanlight.flush(timeout_s=30):
        raise SystemExit("not all spans were sent")


if __name__ == "__main__":
    main()
