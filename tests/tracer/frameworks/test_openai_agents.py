"""OpenAI Agents SDK: whole cascades of real runs, over its real model classes, against the mock provider."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest

import fanlight
from fanlight.testing import Captured
from fanlight_schema import attributes as names
from framework_runs import TWO_TOOLS, assert_counted_once, errors, shapes, turns
from mock_provider import Provider
from requirements import framework

agents = framework("agents")


@pytest.fixture(autouse=True)
def no_export() -> Iterator[None]:
    """The SDK would send its own traces to its maker; fanlight needs none of its processors."""
    agents.set_trace_processors([])
    yield
    agents.set_tracing_disabled(False)


@pytest.fixture(params=["chat", "responses"])
async def model(request: pytest.FixtureRequest, provider: Provider) -> AsyncIterator[Any]:
    kinds = {"chat": agents.OpenAIChatCompletionsModel, "responses": agents.OpenAIResponsesModel}
    async with openai.AsyncOpenAI(base_url=provider.scenario(), api_key="k") as client:
        yield kinds[request.param](model="m", openai_client=client)


@agents.function_tool
async def search(query: str) -> str:
    """Look something up."""
    await asyncio.sleep(0.01)
    return "found"


@agents.function_tool
def broken(query: str) -> str:
    """Look something up, in vain."""
    raise LookupError(query)


@pytest.mark.parametrize("disabled", [False, True], ids=["traced", "tracing disabled"])
@pytest.mark.parametrize("streamed", [False, True], ids=["run", "streamed"])
async def test_a_run_is_an_agent_with_its_tools_and_calls(
    captured: Captured, model: Any, streamed: bool, disabled: bool
) -> None:
    agents.set_tracing_disabled(disabled)
    agent = agents.Agent(name="planner", instructions=TWO_TOOLS, model=model, tools=[search, broken])
    with fanlight.action("answer"):
        if streamed:
            result = agents.Runner.run_streamed(agent, "go")
            async for _ in result.stream_events():
                pass
        else:
            result = await agents.Runner.run(agent, "go")
    assert result.final_output.startswith("word")
    run = ("invoke_agent planner", turns("execute_tool search", "execute_tool broken"))
    assert shapes(captured) == [("answer", [run])]
    assert errors(captured) == {"execute_tool broken": "LookupError"}
    assert_counted_once(captured)
    assert captured.named("execute_tool search").attributes[names.HOP] == 1


async def test_runs_beside_each_other_keep_apart(captured: Captured, model: Any) -> None:
    async def one(name: str) -> None:
        agent = agents.Agent(name=name, instructions=TWO_TOOLS, model=model, tools=[search, broken])
        await agents.Runner.run(agent, "go")

    with fanlight.action("answer"):
        await asyncio.gather(one("a"), one("b"), one("c"))
    below = turns("execute_tool search", "execute_tool broken")
    assert shapes(captured) == [("answer", [(f"invoke_agent {name}", below) for name in "abc"])]


async def test_agents_that_hand_off_are_beside_each_other_in_one_action(
    captured: Captured, model: Any
) -> None:
    expert = agents.Agent(name="expert", instructions=TWO_TOOLS, model=model, tools=[search, broken])
    triage = agents.Agent(
        name="triage", instructions="[[transfer_to_expert {}]]", model=model, handoffs=[expert]
    )
    await agents.Runner.run(triage, "go")
    assert shapes(captured) == [
        ("invoke_agent triage", ["chat m"]),
        ("invoke_agent expert", turns("execute_tool search", "execute_tool broken")),
    ]
    assert_counted_once(captured)
    assert {span.trace_id for span in captured.spans} == {captured.spans[0].attributes[names.ACTION_ID]}
    assert {span.attributes["fanlight.action.source"] for span in captured.spans} == {"inferred"}


async def test_what_the_app_puts_into_one_trace_is_one_action(captured: Captured, model: Any) -> None:
    agent = agents.Agent(name="a", model=model)
    with agents.trace("both"):
        handed_on = fanlight.carrier()
        await agents.Runner.run(agent, "go")
        await agents.Runner.run(agent, "on")
    await agents.Runner.run(agent, "apart")
    assert shapes(captured) == [("invoke_agent a", ["chat m"])] * 3
    assert_counted_once(captured, actions=2)
    first = captured.spans[0].attributes[names.ACTION_ID]
    assert f"fanlight.action.id={first}" in handed_on["baggage"]  # what is started before the first span


async def test_an_agent_as_a_tool_is_below_that_tool(captured: Captured, model: Any) -> None:
    helper = agents.Agent(
        name="helper", instructions='[[search {"query": "a"}]]', model=model, tools=[search]
    )
    tool = helper.as_tool(tool_name="ask_helper", tool_description="Ask.")
    boss = agents.Agent(name="boss", instructions='[[ask_helper {"input": "x"}]]', model=model, tools=[tool])
    with fanlight.action("answer"):
        await agents.Runner.run(boss, "go")
    inner = ("invoke_agent helper", turns("execute_tool search"))
    assert shapes(captured) == [
        ("answer", [("invoke_agent boss", turns(("execute_tool ask_helper", [inner])))])
    ]
    assert {span.attributes[names.HOP] for span in captured.with_role("call")} == {1, 3}


async def test_a_run_that_fails_or_is_cancelled_says_so(captured: Captured, model: Any) -> None:
    started = asyncio.Event()

    @agents.function_tool
    async def wait() -> str:
        """Wait for ever."""
        started.set()
        await asyncio.Event().wait()
        return ""

    agent = agents.Agent(name="a", instructions="[[wait {}]]", model=model, tools=[wait])
    with fanlight.action("answer"):
        task = asyncio.create_task(agents.Runner.run(agent, "go"))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        looping = agents.Agent(
            name="b", instructions='[[search {"query": "a"}]]', model=model, tools=[search]
        )
        with pytest.raises(agents.MaxTurnsExceeded):
            await agents.Runner.run(looping, "go", max_turns=1)
        assert fanlight._cascade.current_cascade().hop == 0  # type: ignore[union-attr]  # inside an action
    assert shapes(captured) == [
        (
            "answer",
            [
                ("invoke_agent a", ["chat m", "execute_tool wait"]),
                ("invoke_agent b", ["chat m", "execute_tool search"]),
            ],
        )
    ]
    assert errors(captured) == {
        "execute_tool wait": "asyncio.exceptions.CancelledError",
        "invoke_agent a": "asyncio.exceptions.CancelledError",
        "invoke_agent b": "agents.exceptions.MaxTurnsExceeded",
    }


async def test_a_stream_that_is_left_ends_its_steps_and_leaks_nothing(captured: Captured, model: Any) -> None:
    agent = agents.Agent(name="a", instructions=TWO_TOOLS, model=model, tools=[search, broken])
    with fanlight.action("answer"):
        result = agents.Runner.run_streamed(agent, "go")
        async for _ in result.stream_events():
            break
        result.cancel()
        with fanlight.tool("after"):
            pass
        del result
        for _ in range(5):
            gc.collect()
            await asyncio.sleep(0.01)
    (root,) = captured.trees()
    assert root.name == "answer"
    assert [child.name for child in root.children] == ["invoke_agent a", "execute_tool after"]


async def test_an_error_that_the_caller_is_handling_is_not_the_agents(captured: Captured, model: Any) -> None:
    agent = agents.Agent(name="a", model=model)
    try:
        raise ValueError
    except ValueError:
        await agents.Runner.run(agent, "go")
    assert errors(captured) == {}


async def test_nothing_is_left_of_the_hooks(captured: Captured, model: Any) -> None:
    fanlight.uninstrument()
    fanlight.patches.uninstall_all()
    with fanlight.testing.capture() as spans:
        await agents.Runner.run(agents.Agent(name="a", model=model), "go")
    assert spans.spans == []
    for owner in (agents.tracing.spans.SpanImpl, agents.tracing.spans.NoOpSpan):
        for method in (owner.start, owner.finish, owner.set_error):
            assert not hasattr(method, "__wrapped__")
