"""smolagents: whole cascades of real agents against the mock provider."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import fanlight
from fanlight.testing import Captured
from fanlight_schema import attributes as names
from framework_runs import SEARCH, TWO_TOOLS, assert_counted_once, errors, shapes, turns, unordered
from mock_provider import Provider
from requirements import framework

smolagents = framework("smolagents")
tool = smolagents.tool  # the framework looks at how the decorator is written

DONE = ' THEN [[final_answer {"answer": "yes"}]]'


@tool
def search(query: str) -> str:
    """Look something up.

    Args:
        query: what
    """
    return "found"


@tool
def fine(query: str) -> str:
    """Look something up.

    Args:
        query: what
    """
    return "found"


@tool
def broken(query: str) -> str:
    """Look something up, in vain.

    Args:
        query: what
    """
    raise LookupError(query)


@pytest.fixture
def model(provider: Provider) -> Iterator[Any]:
    made = smolagents.OpenAIModel(model_id="m", api_base=provider.scenario(), api_key="k")
    yield made
    made.client.close()


def planner(model: Any, prompt: str, name: str | None = "planner", **more: Any) -> Any:
    tools = [search, fine, broken]
    return smolagents.ToolCallingAgent(
        tools, model, name=name, instructions=prompt, verbosity_level=0, max_steps=4, **more
    )


BOTH = SEARCH + ' [[fine {"query": "b"}]]' + DONE


@pytest.mark.parametrize("streamed", [False, True], ids=["run", "streamed"])
def test_a_run_is_an_agent_with_its_tools_and_calls(captured: Captured, model: Any, streamed: bool) -> None:
    agent = planner(model, BOTH)
    if streamed:
        assert list(agent.run("go", stream=True))
    else:
        assert agent.run("go") == "yes"
    below = turns("execute_tool search", "execute_tool fine")
    assert unordered(shapes(captured)) == unordered([("invoke_agent planner", below)])
    assert_counted_once(captured)
    assert errors(captured) == {}


def test_a_tool_that_fails_says_so(captured: Captured, model: Any) -> None:
    planner(model, TWO_TOOLS + DONE, None).run("go")
    (root,) = captured.trees()
    assert root.name == "invoke_agent ToolCallingAgent"
    assert errors(captured) == {"execute_tool broken": "LookupError"}
    assert_counted_once(captured)


def test_code_calls_tools(captured: Captured, provider: Provider) -> None:
    class Coding(smolagents.OpenAIModel):  # type: ignore[misc,name-defined]  # only where it is installed
        """Asks the provider, and answers in code."""

        def generate(self, *args: Any, **kwargs: Any) -> Any:
            message = super().generate(*args, **kwargs)
            message.content = "Thought: look.\n<code>\nfinal_answer(search(query='a'))\n</code>"
            return message

    model = Coding(model_id="m", api_base=provider.scenario(), api_key="k")
    agent = smolagents.CodeAgent([search], model, name="coder", verbosity_level=0)
    with fanlight.action("answer"):
        assert agent.run("go") == "found"
    model.client.close()
    assert shapes(captured) == [("answer", [("invoke_agent coder", ["chat m", "execute_tool search"])])]


def test_managed_agents_are_below_their_manager(captured: Captured, model: Any) -> None:
    helper = planner(model, BOTH, "helper", description="Helps.")
    manager = smolagents.ToolCallingAgent(
        [],
        model,
        name="boss",
        instructions='[[helper {"task": "x"}]]' + DONE,
        managed_agents=[helper],
        verbosity_level=0,
        max_steps=3,
    )
    with fanlight.action("answer"):
        manager.run("go")
    below = ("invoke_agent helper", turns("execute_tool search", "execute_tool fine"))
    assert unordered(shapes(captured)) == unordered([("answer", [("invoke_agent boss", turns(below))])])
    assert {span.attributes[names.HOP] for span in captured.with_role("call")} == {1, 2}


def test_runs_in_threads_keep_apart(captured: Captured, model: Any) -> None:
    with fanlight.action("answer"), ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda name: planner(model, BOTH, name).run("go"), ["a", "b", "c"]))
    below = turns("execute_tool search", "execute_tool fine")
    expected = [("answer", [(f"invoke_agent {name}", below) for name in "abc"])]
    assert unordered(shapes(captured)) == unordered(expected)


def test_a_stream_that_is_left_leaks_nothing(captured: Captured, model: Any) -> None:
    with fanlight.action("answer"):
        stream = planner(model, BOTH).run("go", stream=True)
        next(stream)
        with fanlight.tool("meanwhile"):
            pass
        with contextlib.suppress(RuntimeError):  # the framework yields while it is being closed
            stream.close()
        with fanlight.tool("after"):
            pass
    (root,) = captured.trees()
    assert [child.name for child in root.children] == [
        "invoke_agent planner",
        "execute_tool meanwhile",
        "execute_tool after",
    ]


def test_nothing_is_left_of_the_hooks(captured: Captured, model: Any) -> None:
    fanlight.patches.uninstall_all()
    planner(model, DONE).run("go")
    assert captured.spans == []
