"""Programs that know nothing of fanlight, as `fanlight run` starts them: their agents are steps too."""

import textwrap
from pathlib import Path

import pytest

import fanlight
from mock_provider import Provider
from otlp_receiver import OtlpReceiver
from process_trees import described_spans, run_program
from requirements import framework
from span_trees import Node

AUTO = str(Path(next(iter(fanlight.__path__)), "_auto"))
OPENAI_AGENTS = """
    import agents, asyncio, os
    from openai import AsyncOpenAI
    agents.set_trace_processors([])

    @agents.function_tool
    def search(query: str) -> str:
        return "found"

    async def main():
        async with AsyncOpenAI(base_url=os.environ["BASE_URL"], api_key="k") as client:
            model = agents.OpenAIChatCompletionsModel(model="m", openai_client=client)
            agent = agents.Agent(name="a", instructions=os.environ["PROMPT"], model=model, tools=[search])
            await agents.Runner.run(agent, "go")

    asyncio.run(main())
"""
LANGGRAPH = """
    import os
    from langgraph.graph import StateGraph
    from langchain.agents import create_agent
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    @tool
    def search(query: str) -> str:
        "Look something up."
        return "found"

    model = ChatOpenAI(model="m", base_url=os.environ["BASE_URL"], api_key="k")
    agent = create_agent(model, [search], system_prompt=os.environ["PROMPT"], name="a")
    agent.invoke({"messages": [("user", "go")]})
"""
PYDANTIC_AI = """
    import os
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    def search(query: str) -> str:
        return "found"

    model = OpenAIChatModel("m", provider=OpenAIProvider(base_url=os.environ["BASE_URL"], api_key="k"))
    Agent(model, name="a", instructions=os.environ["PROMPT"], tools=[search]).run_sync("go")
"""
PROGRAMS = {"agents": OPENAI_AGENTS, "langgraph": LANGGRAPH, "pydantic_ai": PYDANTIC_AI}

framework("agents")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_without_any_set_up_has_its_steps(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path, name: str
) -> None:
    program = textwrap.dedent(PROGRAMS[name])
    found = {"BASE_URL": provider.scenario(), "PROMPT": '[[search {"query": "a"}]]'}
    run_program(program, tmp_path, ask="", PYTHONPATH=AUTO, FANLIGHT_TRACE_ON_IMPORT="1", **found)
    assert [_names(node) for node in described_spans(collector.spans)] == [
        ("invoke_agent a", ["chat m", "execute_tool search", "chat m"])
    ]


def _names(node: Node) -> tuple[str, list[str]]:
    return node.name, [below.name for below in node.below]
