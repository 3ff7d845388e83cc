"""A small agent program for `fanlight demo`: planner, parallel workers, tools, retries, a stream broken off.

It is written as a user of fanlight writes one: the real openai SDK, and of fanlight only what
`import fanlight` offers. It talks to whatever OPENAI_BASE_URL and OPENAI_API_KEY name:

    python -m fanlight.demo_agent --session demo-1
    python -m fanlight.demo_agent --model gpt-4o-mini --people 1
"""

import argparse
import asyncio
import random
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from openai import AsyncOpenAI, OpenAIError
from openai.types.chat import ChatCompletionMessageFunctionToolCall, ChatCompletionMessageParam

import fanlight

PLANNER_MODEL = "llama-3.1-70b-instruct"
WORKER_MODEL = "llama-3.1-8b-instruct"
EMBEDDING_MODEL = "bge-m3"
AT_ONCE = 6  # actions in progress at the same time
CHUNKS_READ = 6  # of a stream that its reader breaks off

PLANNER_PROMPT = (
    "You plan research. Split the question into independent sub-tasks that can be worked on in parallel by "
    "colleagues who do not know each other's results. Answer with a numbered list and nothing else: one "
    "sub-task a line, at most seven, each one a single sentence that can be understood on its own."
)
WORKER_PROMPT = (
    "You are a careful research assistant. Use the tools to look things up before you answer; say what you "
    "found, where you found it, and how sure you are. Keep to the sub-task that you were given."
)
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": text,
            "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
        },
    }
    for name, text in (("search", "Search the library."), ("read_page", "Read one page of a source."))
]


@dataclass(frozen=True, slots=True)
class Desk:
    """Who asks, and with which client and models the work is done."""

    client: AsyncOpenAI
    user: str
    session: str
    planner_model: str
    worker_model: str
    embedding_model: str | None  # None: the endpoint has none, the look-up is left out

    async def ask(self, model: str, system: str, question: str, max_tokens: int = 200) -> str:
        """One plain completion."""
        messages: list[ChatCompletionMessageParam] = [
            {"role": "system", "content": system},
            {"role": "user", "content": question},
        ]
        answer = await self.client.chat.completions.create(
            model=model, messages=messages, user=self.user, max_tokens=max_tokens
        )
        return answer.choices[0].message.content or ""

    async def ask_streaming(self, model: str, question: str, stop_after: int | None = None) -> str:
        """One streamed completion; with stop_after it is broken off after that many chunks."""
        messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": question}]
        stream = await self.client.chat.completions.create(
            model=model,
            messages=messages,
            user=self.user,
            max_tokens=200,
            stream=True,
            stream_options={"include_usage": True},
        )
        parts: list[str] = []
        async with stream:
            async for chunk in stream:
                parts += [choice.delta.content or "" for choice in chunk.choices]
                if stop_after is not None and len(parts) >= stop_after:
                    break
        return "".join(parts)


async def quick_answer(desk: Desk, question: str) -> None:
    """One question, one streamed answer."""
    with fanlight.action("quick_answer", user=desk.user, session=desk.session):
        await desk.ask_streaming(desk.worker_model, question)


async def changed_mind(desk: Desk, question: str) -> None:
    """The reader leaves in the middle of the answer."""
    with fanlight.action("changed_mind", user=desk.user, session=desk.session):
        await desk.ask_streaming(desk.worker_model, question, stop_after=CHUNKS_READ)


async def look_up(desk: Desk, question: str) -> None:
    """Retrieval: one embedding, one answer."""
    with fanlight.action("look_up", user=desk.user, session=desk.session):
        if desk.embedding_model is not None:
            with fanlight.tool("vector_search"):
                await desk.client.embeddings.create(
                    model=desk.embedding_model, input=[question], user=desk.user
                )
        await desk.ask(desk.worker_model, WORKER_PROMPT, question)


async def research(desk: Desk, question: str) -> None:
    """A planner, a worker for each sub-task, and a summary."""
    with fanlight.action("research", user=desk.user, session=desk.session):
        await _research(desk, question, depth=1)


async def deep_research(desk: Desk, question: str) -> None:
    """Research in which every sub-task is a research of its own, and theirs again."""
    with fanlight.action("deep_research", user=desk.user, session=desk.session):
        await _research(desk, question, depth=3)


async def nightly_digest(desk: Desk, topic: str) -> None:
    """What nobody asked for just now: a scheduled action, apart from the users' ones."""
    with fanlight.action("nightly_digest", user=desk.user, session=desk.session, origin="schedule"):
        await asyncio.gather(*(_work(desk, f"{topic}, part {part}") for part in range(1, 4)))


async def _research(desk: Desk, question: str, depth: int) -> str:
    with fanlight.agent("researcher"):
        with fanlight.agent("planner"):
            plan = await desk.ask(desk.planner_model, PLANNER_PROMPT, question)
        tasks = [f"{question} / {line}" for line in plan.splitlines() if line.strip()]
        if depth > 1:
            findings = await asyncio.gather(*(_research(desk, task, depth - 1) for task in tasks))
        else:
            findings = await asyncio.gather(*(_work(desk, task) for task in tasks))
        with fanlight.agent("writer"):
            return await desk.ask_streaming(desk.planner_model, "Summarise:\n" + "\n".join(findings))


async def _work(desk: Desk, task: str, max_rounds: int = 4) -> str:
    with fanlight.agent("worker"):
        messages: list[ChatCompletionMessageParam] = [
            {"role": "system", "content": WORKER_PROMPT},
            {"role": "user", "content": task},
        ]
        for _ in range(max_rounds):
            answer = await desk.client.chat.completions.create(
                model=desk.worker_model,
                messages=messages,
                tools=TOOLS,  # type: ignore[arg-type]  # dicts in a list are not inferred as TypedDicts
                user=desk.user,
                max_tokens=200,
            )
            message = answer.choices[0].message
            if not message.tool_calls:
                return message.content or ""
            messages.append(message.model_dump(exclude_none=True))  # type: ignore[arg-type]  # same shape
            for call in message.tool_calls:
                if isinstance(call, ChatCompletionMessageFunctionToolCall):
                    messages.append(await _use_tool(call))
        return ""


async def _use_tool(call: ChatCompletionMessageFunctionToolCall) -> ChatCompletionMessageParam:
    with fanlight.tool(call.function.name):
        await asyncio.sleep(0.01)  # what a look-up in a local index takes
        found = f"3 passages for {call.function.arguments}"
        return {"role": "tool", "tool_call_id": call.id, "content": found}


Job: TypeAlias = Callable[[Desk, str], Awaitable[None]]
JOBS: Mapping[str, Sequence[Job]] = {
    "ada": (quick_answer, quick_answer, look_up, quick_answer, changed_mind),
    "bo": (look_up, research, quick_answer),
    "chen": (research, research, look_up),
    "dee": (deep_research, quick_answer),
    "nightly": (nightly_digest,),
}
QUESTIONS = (
    "How many GPUs does a city of agents need?",
    "Why do two tracers disagree about one call?",
    "What does a cached prefix save?",
    "When does batching stop helping?",
    "Which region has power to spare?",
)


async def run(client: AsyncOpenAI, options: argparse.Namespace) -> int:
    """Do everybody's work, AT_ONCE actions at a time; the number of actions that failed."""
    gate = asyncio.Semaphore(AT_ONCE)
    draw = random.Random(options.seed)
    people = list(JOBS)[: options.people]
    work = [(name, job, draw.choice(QUESTIONS)) for name in people for job in JOBS[name]]
    done = failed = 0

    async def one(number: int, name: str, job: Job, text: str) -> None:
        nonlocal done, failed
        async with gate:
            try:
                await job(_desk(client, name, options), f"{text} ({name}, {number})")
            except OpenAIError as error:
                failed += 1
                sys.stderr.write(f"{_title(job)} for {name} failed: {error}\n")
        done += 1
        sys.stdout.write(f"{done}/{len(work)} {_title(job)} {name}\n")
        sys.stdout.flush()

    async with client:
        await asyncio.gather(*(one(number, *item) for number, item in enumerate(work)))
    return failed


def _desk(client: AsyncOpenAI, name: str, options: argparse.Namespace) -> Desk:
    session = f"{options.session}-{name}"
    if options.model:
        return Desk(client, name, session, options.model, options.model, None)
    return Desk(client, name, session, PLANNER_MODEL, WORKER_MODEL, EMBEDDING_MODEL)


def _title(job: Job) -> str:
    return getattr(job, "__name__", "action")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; 0 if every action came to its end, 1 if some failed, 2 if there is no API key."""
    parser = argparse.ArgumentParser(prog="python -m fanlight.demo_agent", description=__doc__)
    parser.add_argument("--session", default="demo", help="what the session ids begin with")
    parser.add_argument("--seed", type=int, default=7, help="which questions are asked")
    parser.add_argument("--people", type=int, default=len(JOBS), help="how many users ask")
    parser.add_argument("--model", help="one model for everything (default: the models of the demo server)")
    options = parser.parse_args(arguments)
    fanlight.instrument()
    try:
        client = AsyncOpenAI()
    except OpenAIError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    failed = asyncio.run(run(client, options))
    fanlight.flush(timeout_s=10)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
