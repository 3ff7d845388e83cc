"""LangChain and LangGraph: whole cascades of real agents and graphs against the mock provider."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypedDict

import pytest

import fanlight
from fanlight.testing import Captured
from fanlight_schema import attributes as names
from framework_runs import SEARCH, TWO_TOOLS, assert_counted_once, errors, shapes, turns, unordered
from mock_provider import Provider
from requirements import framework

langchain_agents = framework("langchain.agents")
langchain_openai = framework("langchain_openai")
tools = framework("langchain_core.tools")
graphs = framework("langgraph.graph")
pregel = framework("langgraph.types")

GO = {"messages": [{"role": "user", "content": "go"}]}


@tools.tool
def search(query: str) -> str:
    """Look something up."""
    return "found"


@tools.tool
async def search_async(query: str) -> str:
    """Look something up."""
    await asyncio.sleep(0.01)
    return "found"


class Broken(tools.BaseTool):  # type: ignore[misc,name-defined]  # only where the framework is installed
    name: str = "broken"
    description: str = "Look something up, in vain."
    handle_tool_error: bool = True

    def _run(self, query: str) -> str:
        raise tools.ToolException(query)


@pytest.fixture(params=["chat", "responses"])
async def model(request: pytest.FixtureRequest, provider: Provider) -> AsyncIterator[Any]:
    made = langchain_openai.ChatOpenAI(
        model="m", base_url=provider.scenario(), api_key="k", use_responses_api=request.param == "responses"
    )
    yield made
    made.root_client.close()
    await made.root_async_client.close()


def planner(model: Any, prompt: str = TWO_TOOLS, name: str | None = "planner", **more: Any) -> Any:
    return langchain_agents.create_agent(
        model, tools=[search, Broken(), *more.pop("tools", [])], system_prompt=prompt, name=name, **more
    )


RUN = ("invoke_agent planner", turns("execute_tool search", "execute_tool broken"))


@pytest.mark.parametrize("how", ["invoke", "stream", "ainvoke", "astream", "astream_events", "batch"])
async def test_every_way_to_run_an_agent_is_one_cascade(captured: Captured, model: Any, how: str) -> None:
    agent = planner(model)
    if how == "invoke":
        agent.invoke(GO)
    elif how == "batch":
        agent.batch([GO])
    elif how == "stream":
        assert list(agent.stream(GO))
    elif how == "ainvoke":
        await agent.ainvoke(GO)
    elif how == "astream":
        assert [part async for part in agent.astream(GO, stream_mode="messages")]
    else:
        assert [event async for event in agent.astream_events(GO)]
    assert unordered(shapes(captured)) == unordered([RUN])
    assert errors(captured) == {"execute_tool broken": "langchain_core.tools.base.ToolException"}
    assert_counted_once(captured)


async def test_an_async_graph_is_one_cascade_with_its_agents_below(captured: Captured, model: Any) -> None:
    class State(TypedDict, total=False):
        messages: list[Any]
        left: str
        right: str

    async def plain(state: State) -> State:
        await asyncio.sleep(0.001)
        await model.ainvoke("say something")
        return {"left": "done"}

    builder = graphs.StateGraph(State)
    builder.add_node("plan", plain)
    builder.add_node("research", planner(model, name=None), input_schema=State)
    builder.add_edge(graphs.START, "plan")
    builder.add_edge(graphs.START, "research")
    await builder.compile(name="crew").ainvoke(GO)
    below = ["chat m", ("invoke_agent research", RUN[1])]
    assert unordered(shapes(captured)) == unordered([("invoke_agent crew", below)])
    assert_counted_once(captured)


async def test_agents_beside_each_other_keep_apart(captured: Captured, model: Any) -> None:
    with fanlight.action("answer"):
        await asyncio.gather(*(planner(model, name=name).ainvoke(GO) for name in "abc"))
    below = [(f"invoke_agent {name}", RUN[1]) for name in "abc"]
    assert unordered(shapes(captured)) == unordered([("answer", below)])
    assert_counted_once(captured)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
async def test_an_agent_that_a_tool_runs_is_below_it(
    captured: Captured, model: Any, asynchronous: bool
) -> None:
    inner = planner(model, name="helper")

    @tools.tool
    def ask_helper(question: str) -> str:
        """Ask."""
        return str(inner.invoke(GO)["messages"][-1].content)

    @tools.tool("ask_helper")
    async def ask_helper_async(question: str) -> str:
        """Ask."""
        return str((await inner.ainvoke(GO))["messages"][-1].content)

    tool = ask_helper_async if asynchronous else ask_helper
    boss = planner(model, '[[ask_helper {"question": "x"}]]', "boss", tools=[tool])
    with fanlight.action("answer"):
        if asynchronous:
            await boss.ainvoke(GO)
        else:
            boss.invoke(GO)
    below = ("execute_tool ask_helper", [("invoke_agent helper", RUN[1])])
    assert unordered(shapes(captured)) == unordered([("answer", [("invoke_agent boss", turns(below))])])
    assert {span.attributes[names.HOP] for span in captured.with_role("call")} == {1, 3}


async def test_async_tools_are_steps(captured: Captured, model: Any) -> None:
    agent = planner(model, '[[search_async {"query": "a"}]]', tools=[search_async])
    await agent.ainvoke(GO)
    assert shapes(captured) == [("invoke_agent planner", turns("execute_tool search_async"))]


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
async def test_a_stream_that_is_left_ends_its_steps_and_leaks_nothing(
    captured: Captured, model: Any, asynchronous: bool
) -> None:
    agent = planner(model)
    with fanlight.action("answer"):
        if asynchronous:
            stream: Any = agent.astream(GO)
            async for _ in stream:
                break
            await stream.aclose()
        else:
            parts: Iterator[Any] = agent.stream(GO)
            next(parts)
            with fanlight.tool("meanwhile"):
                pass
            del parts
        gc.collect()
        with fanlight.tool("after"):
            pass
    (root,) = captured.trees()
    expected = ["invoke_agent planner", "execute_tool meanwhile", "execute_tool after"]
    assert [child.name for child in root.children] == [
        e for e in expected if "mean" not in e or not asynchronous
    ]
    assert errors(captured) == {}


async def test_a_cancelled_or_failing_run_says_so(captured: Captured, model: Any) -> None:
    started = asyncio.Event()

    @tools.tool
    async def wait() -> str:
        """Wait for ever."""
        started.set()
        await asyncio.Event().wait()
        return ""

    @tools.tool
    def fail() -> str:
        """Fail."""
        raise LookupError

    with fanlight.action("answer"):
        task = asyncio.create_task(planner(model, "[[wait {}]]", "a", tools=[wait]).ainvoke(GO))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(LookupError):
            planner(model, "[[fail {}]]", "b", tools=[fail]).invoke(GO)
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


def test_an_interrupt_is_no_failure(captured: Captured, model: Any) -> None:
    from langgraph.checkpoint.memory import InMemorySaver

    @tools.tool
    def approve() -> str:
        """Ask a human."""
        return str(pregel.interrupt("may I?"))

    agent = planner(model, "[[approve {}]]", tools=[approve], checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "1"}}
    with fanlight.action("answer"):
        agent.invoke(GO, thread)
        agent.invoke(pregel.Command(resume="yes"), thread)
    assert shapes(captured) == [
        (
            "answer",
            [
                ("invoke_agent planner", ["chat m", "execute_tool approve"]),
                ("invoke_agent planner", ["execute_tool approve", "chat m"]),
            ],
        )
    ]
    assert errors(captured) == {}


def test_a_chain_is_no_step(captured: Captured, model: Any) -> None:
    prompts = framework("langchain_core.prompts")
    parsers = framework("langchain_core.output_parsers")
    chain = prompts.ChatPromptTemplate.from_messages([("user", "{text}")]) | model | parsers.StrOutputParser()
    assert chain.invoke({"text": SEARCH}).startswith("word")
    assert shapes(captured) == ["chat m"]


def test_nothing_is_left_of_the_hooks(captured: Captured, model: Any) -> None:
    fanlight.patches.uninstall_all()
    for owner, method in (
        (framework("langgraph.pregel").Pregel, "stream"),
        (framework("langgraph.pregel").Pregel, "astream"),
        (tools.BaseTool, "run"),
        (tools.BaseTool, "arun"),
    ):
        assert not hasattr(getattr(owner, method), "__wrapped__")
