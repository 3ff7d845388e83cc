"""LlamaIndex: whole cascades of real agents and agent workflows against the mock provider."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

import fanlight
from fanlight.testing import Captured
from fanlight_schema import attributes as names
from framework_runs import SEARCH, TWO_TOOLS, assert_counted_once, errors, shapes, turns
from mock_provider import Provider
from requirements import framework

workflow = framework("llama_index.core.agent.workflow")
llms = framework("llama_index.llms.openai")
tools = framework("llama_index.core.tools")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the framework's own

RUN = ("invoke_agent planner", turns("execute_tool search", "execute_tool broken"))


class Model(llms.OpenAI):  # type: ignore[misc,name-defined]  # only where the framework is installed
    """The framework's own client, for a model whose window it does not know."""

    @property
    def metadata(self) -> Any:
        known = llms.OpenAI(model="gpt-4o", api_key="k").metadata
        return known.model_copy(update={"model_name": self.model})


async def search(query: str) -> str:
    """Look something up."""
    await asyncio.sleep(0.01)
    return "found"


def broken(query: str) -> str:
    """Look something up, in vain."""
    raise LookupError(query)


@pytest.fixture
async def model(provider: Provider) -> AsyncIterator[Any]:
    made = Model(model="m", api_base=provider.scenario(), api_key="k")
    yield made
    made._get_client().close()
    await made._get_aclient().close()


def planner(model: Any, prompt: str = TWO_TOOLS, name: str = "planner", **more: Any) -> Any:
    return workflow.FunctionAgent(
        name=name,
        description=name,
        llm=model,
        system_prompt=prompt,
        tools=[search, broken, *more.pop("tools", [])],
        **more,
    )


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
async def test_a_run_is_an_agent_with_its_tools_and_calls(
    captured: Captured, model: Any, streaming: bool
) -> None:
    agent = planner(model, streaming=streaming)
    handler = agent.run(user_msg="go")
    if streaming:
        assert [event async for event in handler.stream_events()]
    assert "word" in str(await handler)
    await asyncio.sleep(0)
    assert shapes(captured) == [RUN]
    assert errors(captured) == {"execute_tool broken": "LookupError"}
    assert_counted_once(captured)


async def test_agents_that_hand_off_are_beside_each_other_below_their_workflow(
    captured: Captured, model: Any
) -> None:
    triage = planner(
        model, '[[handoff {"to_agent": "expert", "reason": "r"}]]', "triage", can_handoff_to=["expert"]
    )
    team = workflow.AgentWorkflow(agents=[triage, planner(model, name="expert")], root_agent="triage")
    await team.run(user_msg="go")
    await asyncio.sleep(0)
    below = [("invoke_agent triage", ["chat m"]), ("invoke_agent expert", RUN[1])]
    assert shapes(captured) == [("invoke_agent AgentWorkflow", below)]
    assert errors(captured) == {"execute_tool broken": "LookupError"}
    assert_counted_once(captured)


async def test_agents_beside_each_other_and_below_tools_keep_apart(captured: Captured, model: Any) -> None:
    inner = planner(model, SEARCH, "helper")

    async def ask_helper(question: str) -> str:
        """Ask."""
        return str(await inner.run(user_msg="go"))

    boss = planner(model, '[[ask_helper {"question": "x"}]]', "boss", tools=[ask_helper])
    with fanlight.action("answer"):
        await asyncio.gather(*(boss.run(user_msg="go") for _ in range(3)))
        with fanlight.tool("after"):
            pass
    await asyncio.sleep(0)
    below = ("execute_tool ask_helper", [("invoke_agent helper", turns("execute_tool search"))])
    boss_runs = [("invoke_agent boss", turns(below))] * 3
    assert shapes(captured) == [("answer", [*boss_runs, "execute_tool after"])]
    assert {span.attributes[names.HOP] for span in captured.with_role("call")} == {1, 3}


async def test_a_cancelled_run_says_so_and_leaks_nothing(captured: Captured, model: Any) -> None:
    started = asyncio.Event()

    async def wait() -> str:
        """Wait for ever."""
        started.set()
        await asyncio.Event().wait()
        return ""

    with fanlight.action("answer"):
        handler = planner(model, "[[wait {}]]", "a", tools=[wait]).run(user_msg="go")
        await started.wait()
        await handler.cancel_run()
        with fanlight.tool("after"):
            pass
    for _ in range(3):
        gc.collect()
        await asyncio.sleep(0.01)
    assert shapes(captured) == [
        ("answer", [("invoke_agent a", ["chat m", "execute_tool wait"]), "execute_tool after"])
    ]
    assert set(errors(captured)) == {"execute_tool wait", "invoke_agent a"}


def test_tools_that_a_model_chose_outside_any_agent_are_steps(captured: Captured, model: Any) -> None:
    given = [tools.FunctionTool.from_defaults(fn=broken)]
    with fanlight.action("answer"):
        model.predict_and_call(given, user_msg='[[broken {"query": "x"}]]')
    assert shapes(captured) == [("answer", ["chat m", "execute_tool broken"])]
    assert errors(captured) == {"execute_tool broken": "LookupError"}


async def test_nothing_is_left_of_the_hooks(captured: Captured, model: Any) -> None:
    fanlight.patches.uninstall_all()
    await planner(model).run(user_msg="go")
    assert captured.spans == []
