"""Pydantic AI: whole cascades of real agents against the mock provider."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from opentelemetry.sdk.trace import TracerProvider

import fanlight
from fanlight.testing import Captured
from fanlight_schema import attributes as names
from framework_runs import SEARCH, TWO_TOOLS, assert_counted_once, errors, shapes, turns
from mock_provider import Provider
from otlp_receiver import OtlpReceiver, attributes_of
from requirements import framework

pydantic_ai = framework("pydantic_ai")
openai_models = framework("pydantic_ai.models.openai")
openai_providers = framework("pydantic_ai.providers.openai")

RUN = ("invoke_agent planner", turns("execute_tool search", "execute_tool broken"))


async def search(query: str) -> str:
    """Look something up."""
    await asyncio.sleep(0.01)
    return "found"


def broken(query: str) -> str:
    """Look something up, in vain."""
    raise pydantic_ai.ModelRetry("no")


@pytest.fixture(params=["chat", "responses"])
async def model(request: pytest.FixtureRequest, provider: Provider) -> AsyncIterator[Any]:
    kinds = {"chat": openai_models.OpenAIChatModel, "responses": openai_models.OpenAIResponsesModel}
    async with openai.AsyncOpenAI(base_url=provider.scenario(), api_key="k") as client:
        yield kinds[request.param]("m", provider=openai_providers.OpenAIProvider(openai_client=client))


def planner(model: Any, prompt: str = TWO_TOOLS, name: str = "planner", **more: Any) -> Any:
    return pydantic_ai.Agent(
        model, name=name, instructions=prompt, tools=[search, broken, *more.pop("tools", [])], **more
    )


@pytest.mark.parametrize("how", ["run", "iter", "run_stream", "run_stream_events"])
async def test_every_way_to_run_an_agent_is_one_cascade(captured: Captured, model: Any, how: str) -> None:
    agent = planner(model)
    if how == "run":
        assert (await agent.run("go")).output.startswith("word")
    elif how == "iter":
        async with agent.iter("go") as run:
            assert [node async for node in run]
    elif how == "run_stream":
        async with agent.run_stream("go") as stream:
            assert [text async for text in stream.stream_text()]
    else:
        async with agent.run_stream_events("go") as events:
            assert [event async for event in events]
    assert shapes(captured) == [RUN]
    assert errors(captured) == {"execute_tool broken": "pydantic_ai.exceptions.ToolRetryError"}
    assert_counted_once(captured)


@pytest.mark.parametrize("how", ["run_sync", "run_stream_sync"])
def test_sync_runs_are_one_cascade(captured: Captured, provider: Provider, how: str) -> None:
    client = openai.AsyncOpenAI(base_url=provider.scenario(), api_key="k")
    made = openai_models.OpenAIChatModel("m", provider=openai_providers.OpenAIProvider(openai_client=client))
    with fanlight.action("answer"):
        if how == "run_sync":
            planner(made).run_sync("go")
        else:
            with planner(made).run_stream_sync("go") as stream:
                assert list(stream.stream_text())
        with fanlight.tool("after"):
            pass
    loop = asyncio.get_event_loop_policy().get_event_loop()
    loop.run_until_complete(client.close())
    loop.close()
    asyncio.set_event_loop(None)
    assert shapes(captured) == [("answer", [RUN, "execute_tool after"])]


async def test_agents_beside_each_other_and_below_tools_keep_apart(captured: Captured, model: Any) -> None:
    inner = planner(model, SEARCH, "helper")

    async def ask_helper(question: str) -> str:
        """Ask."""
        return str((await inner.run("go")).output)

    boss = planner(model, '[[ask_helper {"question": "x"}]]', "boss", tools=[ask_helper])
    with fanlight.action("answer"):
        await asyncio.gather(*(boss.run("go") for _ in range(3)))
    below = ("execute_tool ask_helper", [("invoke_agent helper", turns("execute_tool search"))])
    assert shapes(captured) == [("answer", [("invoke_agent boss", turns(below))] * 3)]
    assert_counted_once(captured)
    assert {span.attributes[names.HOP] for span in captured.with_role("call")} == {1, 3}


async def test_a_cancelled_or_failing_run_says_so(captured: Captured, model: Any) -> None:
    started = asyncio.Event()

    async def wait() -> str:
        """Wait for ever."""
        started.set()
        await asyncio.Event().wait()
        return ""

    def fail() -> str:
        """Fail."""
        raise LookupError

    with fanlight.action("answer"):
        task = asyncio.create_task(planner(model, "[[wait {}]]", "a", tools=[wait]).run("go"))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(LookupError):
            await planner(model, "[[fail {}]]", "b", tools=[fail]).run("go")
    assert shapes(captured) == [
        (
            "answer",
            [
                ("invoke_agent a", ["chat m", "execute_tool wait"]),
                ("invoke_agent b", ["chat m", "execute_tool fail"]),
            ],
        )
    ]
    assert errors(captured) == {
        "execute_tool wait": "asyncio.exceptions.CancelledError",
        "invoke_agent a": "asyncio.exceptions.CancelledError",
        "execute_tool fail": "LookupError",
        "invoke_agent b": "LookupError",
    }


async def test_a_stream_that_is_left_ends_its_steps_and_leaks_nothing(captured: Captured, model: Any) -> None:
    agent = planner(model)
    with fanlight.action("answer"):
        async with agent.run_stream_events("go") as events:
            async for _ in events:
                break
        async with agent.iter("go") as run:
            async for _ in run:
                break
        with fanlight.tool("after"):
            pass
    (root,) = captured.trees()
    assert [child.name for child in root.children] == [
        "invoke_agent planner",
        "invoke_agent planner",
        "execute_tool after",
    ]


async def test_calls_that_are_not_executed_are_no_steps(captured: Captured, model: Any) -> None:
    agent = pydantic_ai.Agent(
        model,
        name="planner",
        instructions='[[search {"nothing": 1}]] [[approve {}]] ',
        tools=[search],
        output_type=[str, pydantic_ai.DeferredToolRequests],
    )

    @agent.tool_plain(requires_approval=True)
    def approve() -> str:
        """Ask a human."""
        return "yes"

    await agent.run("go")
    assert shapes(captured)[0][0] == "invoke_agent planner"  # type: ignore[index]
    assert captured.with_role("tool") == []
    assert errors(captured) == {}


async def test_a_tool_of_an_mcp_server_is_one_step(
    captured: Captured, model: Any, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = framework("pydantic_ai.mcp")
    from mcp_server import make_server

    monkeypatch.setenv("BASE_URL", provider.scenario())
    toolset = servers.MCPToolset(make_server())
    agent = pydantic_ai.Agent(model, name="planner", instructions=TWO_TOOLS, toolsets=[toolset])
    await agent.run("go")
    below = turns(("execute_tool search", ["chat m"]), "execute_tool broken")
    assert shapes(captured) == [("invoke_agent planner", below)]


async def test_steps_that_the_framework_traces_itself_count_once(collector: OtlpReceiver, model: Any) -> None:
    app = TracerProvider()
    settings = framework("pydantic_ai.models.instrumented").InstrumentationSettings(tracer_provider=app)
    fanlight.instrument(tracer_provider=app)
    with fanlight.action("answer"):
        agent = planner(model)
        agent.instrument = settings
        await agent.run("go")
    await asyncio.to_thread(fanlight.flush)
    said = [(span.name, attributes_of(span).get(names.OPERATION_NAME)) for span in collector.spans]
    steps = [name for name, operation in said if operation in ("invoke_agent", "execute_tool")]
    assert sorted(steps) == ["execute_tool broken", "execute_tool search", "invoke_agent planner"]
    assert len(said) > len({name for name, _ in said})  # the framework's own spans are there, too


async def test_nothing_is_left_of_the_hooks(captured: Captured, model: Any) -> None:
    fanlight.patches.uninstall_all()
    await planner(model, "").run("go")
    assert captured.spans == []
