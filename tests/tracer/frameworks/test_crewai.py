"""CrewAI: whole cascades of real crews, flows and agents against the mock provider."""

import asyncio
import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fanlight
from fanlight.testing import Captured
from fanlight_schema import attributes as names
from framework_runs import SEARCH, TWO_TOOLS, assert_counted_once, errors, shapes, turns, unordered
from mock_provider import Provider
from requirements import framework

os.environ |= {"CREWAI_DISABLE_TELEMETRY": "true", "CREWAI_TRACING_ENABLED": "false"}
crewai = framework("crewai")
decorators = framework("crewai.tools")
flows = framework("crewai.flow.flow")

pytestmark = pytest.mark.filterwarnings("ignore")  # the framework's own, of many kinds


@decorators.tool("search")
def search(query: str) -> str:
    """Look something up."""
    return "found"


@decorators.tool("broken")
def broken(query: str) -> str:
    """Look something up, in vain."""
    raise LookupError(query)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def model(provider: Provider) -> Iterator[Any]:
    made = crewai.LLM(model="openai/m", base_url=provider.scenario(), api_key="k")
    yield made
    made._client.close()
    del made
    gc.collect()  # clients that the framework leaves open


def planner(model: Any, prompt: str = SEARCH, role: str = "planner", **more: Any) -> Any:
    return crewai.Agent(
        role=role,
        goal=prompt,
        backstory="none",
        llm=model,
        tools=[search, broken],
        verbose=False,
        max_retry_limit=0,
        **more,
    )


def crew_of(*members: Any, **more: Any) -> Any:
    tasks = [crewai.Task(description="go", expected_output="words", agent=one) for one in members]
    return crewai.Crew(agents=list(members), tasks=tasks, verbose=False, **more)


RUN = ("invoke_agent planner", turns("execute_tool search"))


@pytest.mark.parametrize("how", ["kickoff", "kickoff_async", "akickoff"])
async def test_every_way_to_run_a_crew_is_one_cascade(captured: Captured, model: Any, how: str) -> None:
    crew = crew_of(planner(model), planner(model, role="writer"), name="duo")
    if how == "kickoff":
        await asyncio.to_thread(crew.kickoff)
    else:
        await getattr(crew, how)()
    below = [RUN, ("invoke_agent writer", RUN[1])]
    assert shapes(captured) == [("invoke_agent duo", below)]
    assert errors(captured) == {}
    assert_counted_once(captured)


def test_a_tool_that_fails_says_so(captured: Captured, model: Any) -> None:
    with fanlight.action("answer"):
        planner(model, TWO_TOOLS).kickoff("go")
    (root,) = captured.trees()
    (agent,) = root.children
    assert agent.name == "invoke_agent planner"
    assert unordered([child.name for child in agent.children][:3]) == [
        "chat m",
        "execute_tool broken",
        "execute_tool search",
    ]
    assert errors(captured) == {"execute_tool broken": "LookupError"}
    assert_counted_once(captured)


def test_an_agent_that_is_asked_by_another_is_below_its_tool(captured: Captured, model: Any) -> None:
    ask = '[[delegate_work_to_coworker {"task": "t", "context": "c", "coworker": "helper"}]]'
    boss = planner(model, ask, "boss", allow_delegation=True)
    helper = planner(model, SEARCH, "helper")
    tasks = [crewai.Task(description="go", expected_output="words", agent=boss)]
    crewai.Crew(agents=[boss, helper], tasks=tasks, verbose=False).kickoff()
    below = (
        "execute_tool Delegate work to coworker",
        [("invoke_agent helper", turns("execute_tool search"))],
    )
    assert shapes(captured) == [("invoke_agent crew", [("invoke_agent boss", turns(below))])]
    assert {span.attributes[names.HOP] for span in captured.with_role("call")} == {2, 4}


async def test_crews_beside_each_other_keep_apart(captured: Captured, model: Any) -> None:
    with fanlight.action("answer"):
        await asyncio.gather(*(crew_of(planner(model), name=name).akickoff() for name in "abc"))
    expected = [("answer", [(f"invoke_agent {name}", [RUN]) for name in "abc"])]
    assert unordered(shapes(captured)) == unordered(expected)


def test_a_flow_holds_its_crews_together(captured: Captured, model: Any) -> None:
    class Report(flows.Flow):  # type: ignore[misc,name-defined]  # only where the framework is installed
        _skip_auto_memory = True  # a database that is not installed

        @flows.start()
        async def first(self) -> str:
            return str(await crew_of(planner(model)).akickoff())

        @flows.listen(first)
        async def second(self, _: str) -> str:
            return str(await planner(model, role="writer").kickoff_async("go"))

    Report().kickoff()
    below = [("invoke_agent crew", [RUN]), ("invoke_agent writer", RUN[1])]
    assert shapes(captured) == [("invoke_agent Report", below)]
    assert_counted_once(captured)


def test_a_streamed_crew_is_one_cascade(captured: Captured, model: Any) -> None:
    with fanlight.action("answer"):
        assert list(crew_of(planner(model), stream=True).kickoff())
    assert shapes(captured) == [("answer", [("invoke_agent crew", [RUN])])]


def test_nothing_is_left_of_the_hooks(captured: Captured, model: Any) -> None:
    fanlight.patches.uninstall_all()
    crew_of(planner(model)).kickoff()
    assert captured.spans == []
