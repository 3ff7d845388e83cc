"""Plays recorded sessions through the real OpenAI SDK, traced by fanlight.

    OPENAI_BASE_URL=... OTEL_EXPORTER_OTLP_ENDPOINT=... python replay_agents.py threads DIR ID...

An action of the recording is a `fanlight.action`, a sub-agent an `agent`, a call that stopped for tools is
followed by one `tool` (the recording has no number of tools per call). Sub-agents that follow one another run
side by side. `threads` uses the drop-in OpenAI, `tasks` a wrapped AsyncOpenAI; the main agent's calls are
chat completions, a sub-agent's responses. Prints the wall-clock seconds of the calls alone and with the last
spans sent, as JSON.
"""

import argparse
import asyncio
import contextvars
import itertools
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI

import fanlight
import weka
from fanlight.openai import OpenAI

TOOL_NAME = "recorded_tool"
CONCURRENT_SESSIONS = 8


def side_by_side(steps: Iterable[weka.Step]) -> Iterator[list[weka.Step]]:
    """The steps in order, each call by itself, sub-agents that follow one another together."""
    for nested, group in itertools.groupby(steps, lambda step: isinstance(step, weka.SubAgent)):
        members = list(group)
        yield from [members] if nested else ([step] for step in members)


def play_in_threads(sessions: Sequence[weka.Session]) -> None:
    with OpenAI(max_retries=0) as client, ThreadPoolExecutor(CONCURRENT_SESSIONS) as pool:
        for finished in [pool.submit(_session, client, session) for session in sessions]:
            finished.result()


def _session(client: OpenAI, session: weka.Session) -> None:
    for action in session.actions:
        with fanlight.action(weka.ACTION_NAME, user=session.user, session=session.id):
            _steps(client, action.steps, in_sub_agent=False)


def _steps(client: OpenAI, steps: Sequence[weka.Step], *, in_sub_agent: bool) -> None:
    for group in side_by_side(steps):
        if isinstance(group[0], weka.Call):
            _ask(client, group[0], in_sub_agent)
        else:
            with ThreadPoolExecutor(len(group)) as pool:
                started = [
                    pool.submit(contextvars.copy_context().run, _agent, client, step) for step in group
                ]
            for finished in started:
                finished.result()


def _agent(client: OpenAI, agent: weka.SubAgent) -> None:
    with fanlight.agent(agent.name):
        _steps(client, agent.steps, in_sub_agent=True)


def _ask(client: OpenAI, call: weka.Call, in_sub_agent: bool) -> None:
    make = client.responses.create if in_sub_agent else client.chat.completions.create
    answer: Any = make(**_arguments(call, in_sub_agent))
    if call.streamed:
        for _ in answer:
            pass
    if call.used_tools:
        with fanlight.tool(TOOL_NAME):
            pass


async def play_in_tasks(sessions: Sequence[weka.Session]) -> None:
    waiting = iter(sessions)
    async with fanlight.wrap(AsyncOpenAI(max_retries=0)) as client:

        async def worker() -> None:
            for session in waiting:
                await _session_async(client, session)

        await asyncio.gather(*(worker() for _ in range(CONCURRENT_SESSIONS)))


async def _session_async(client: AsyncOpenAI, session: weka.Session) -> None:
    for action in session.actions:
        with fanlight.action(weka.ACTION_NAME, user=session.user, session=session.id):
            await _steps_async(client, action.steps, in_sub_agent=False)


async def _steps_async(client: AsyncOpenAI, steps: Sequence[weka.Step], *, in_sub_agent: bool) -> None:
    for group in side_by_side(steps):
        if isinstance(group[0], weka.Call):
            await _ask_async(client, group[0], in_sub_agent)
        else:
            await asyncio.gather(*(_agent_async(client, step) for step in group))


async def _agent_async(client: AsyncOpenAI, agent: weka.SubAgent) -> None:
    async with fanlight.agent(agent.name):
        await _steps_async(client, agent.steps, in_sub_agent=True)


async def _ask_async(client: AsyncOpenAI, call: weka.Call, in_sub_agent: bool) -> None:
    make = client.responses.create if in_sub_agent else client.chat.completions.create
    answer: Any = await make(**_arguments(call, in_sub_agent))
    if call.streamed:
        async for _ in answer:
            pass
    if call.used_tools:
        async with fanlight.tool(TOOL_NAME):
            pass


def _arguments(call: weka.Call, in_sub_agent: bool) -> dict[str, Any]:
    if in_sub_agent:
        return {"model": call.model, "input": call.key, "stream": call.streamed}
    options = {"stream": True, "stream_options": {"include_usage": True}} if call.streamed else {}
    return {"model": call.model, "messages": [{"role": "user", "content": call.key}], **options}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("style", choices=["threads", "tasks"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("ids", nargs="+")
    options = parser.parse_args()
    wanted = set(options.ids)
    sessions = [session for session in weka.sessions(options.folder) if session.id in wanted]
    started = time.perf_counter()
    if options.style == "threads":
        play_in_threads(sessions)
    else:
        asyncio.run(play_in_tasks(sessions))
    called = time.perf_counter()
    sent = fanlight.flush(timeout_s=60)
    fanlight.shutdown()
    print(json.dumps({"called_s": called - started, "sent_s": time.perf_counter() - started}))
    return 0 if sent else 1


if __name__ == "__main__":
    sys.exit(main())
