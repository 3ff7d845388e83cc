"""Claude Agent SDK: whole cascades of its real program against a mock of Anthropic's API."""

import asyncio
import gc
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

import fanlight
from claude_api import CACHE_READ, CACHE_WRITE, INPUT, OUTPUT, running_claude_api
from fanlight.testing import Captured
from fanlight_schema import attributes as names
from framework_runs import errors, shapes, unordered
from mock_provider import Provider
from requirements import framework

sdk = framework("claude_agent_sdk")

SEARCH, BROKEN = '[[mcp__mine__search {"query": "a"}]]', '[[mcp__mine__broken {"query": "b"}]]'
CALL = "chat claude-m"


@pytest.fixture
def api() -> Iterator[Any]:
    with running_claude_api() as running:
        yield running


@pytest.fixture
def options(api: Any, tmp_path: Path, provider: Provider) -> Callable[..., Any]:
    """Options for a program that sees nothing of this machine; its tool `search` asks another model."""
    url, _ = api
    model_url = provider.scenario()

    @sdk.tool("search", "Look something up.", {"query": str})
    async def search(_: Any) -> Any:
        async with openai.AsyncOpenAI(base_url=model_url, api_key="k") as client:
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "go"}])
        return {"content": [{"type": "text", "text": "found"}]}

    @sdk.tool("broken", "Look something up, in vain.", {"query": str})
    async def broken(_: Any) -> Any:
        raise LookupError

    def made(**more: Any) -> Any:
        return sdk.ClaudeAgentOptions(
            model="claude-m",
            cwd=tmp_path,
            setting_sources=[],
            stderr=lambda _: None,
            mcp_servers={"mine": sdk.create_sdk_mcp_server("mine", tools=[search, broken])},
            allowed_tools=["mcp__mine__search", "mcp__mine__broken", "Agent"],
            env={
                "ANTHROPIC_BASE_URL": url,
                "ANTHROPIC_API_KEY": "k",
                "HOME": str(tmp_path),
                "CLAUDE_CONFIG_DIR": str(tmp_path / "config"),
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "ENABLE_TOOL_SEARCH": "false",
            },
            **more,
        )

    return made


TOOLS = [("execute_tool mcp__mine__search", ["chat m"]), "execute_tool mcp__mine__broken"]
TURN = ("invoke_agent claude", [CALL, *TOOLS, CALL])


async def test_a_query_is_an_agent_with_its_tools_and_calls(
    captured: Captured, options: Callable[..., Any], api: Any
) -> None:
    with fanlight.action("answer"):
        messages = [m async for m in sdk.query(prompt=SEARCH + BROKEN, options=options())]
        with fanlight.tool("after"):
            pass
    assert messages[-1].result == "done"
    assert unordered(shapes(captured)) == unordered([("answer", [TURN, "execute_tool after"])])
    assert errors(captured) == {"execute_tool mcp__mine__broken": "tool_error"}
    calls = [span for span in captured.with_role("call") if span.name == CALL]
    assert len(calls) == len(api[1]) == 2
    for call in calls:
        assert call.attributes[names.INPUT_TOKENS] == INPUT + CACHE_READ + CACHE_WRITE
        assert names.OUTPUT_TOKENS not in call.attributes
        assert names.WIRE not in call.attributes
        assert call.start_time_ns < call.end_time_ns
    assert len({span.attributes[names.ACTION_ID] for span in captured.spans}) == 1


async def test_turns_of_a_client_are_agents_of_the_actions_that_asked(
    captured: Captured, options: Callable[..., Any]
) -> None:
    async with sdk.ClaudeSDKClient(options()) as client:
        for name in ("first", "second"):
            with fanlight.action(name):
                await client.query(SEARCH + BROKEN if name == "first" else "go")
                async for _ in client.receive_response():
                    pass
    second = ("second", [("invoke_agent claude", [CALL])])
    assert unordered(shapes(captured)) == unordered([("first", [TURN]), second])


@pytest.mark.parametrize("forwarded", [False, True], ids=["unheard", "forwarded"])
async def test_a_sub_agent_is_below_the_tool_that_started_it(
    captured: Captured, options: Callable[..., Any], api: Any, forwarded: bool
) -> None:
    helper = sdk.AgentDefinition(description="Helps.", prompt=SEARCH, tools=["mcp__mine__search"])
    asked = {"description": "d", "prompt": "go", "subagent_type": "helper", "run_in_background": False}
    given = options(agents={"helper": helper}, forward_subagent_text=forwarded)
    with fanlight.action("answer"):
        async for _ in sdk.query(prompt=f"[[Agent {json.dumps(asked)}]]", options=given):
            pass
    inner = ("invoke_agent helper", [CALL, TOOLS[0], CALL])
    turn = ("invoke_agent claude", [CALL, ("execute_tool Agent", [inner]), CALL])
    assert unordered(shapes(captured)) == unordered([("answer", [turn])])
    assert len(api[1]) == 4
    told = [span.attributes.get(names.OUTPUT_TOKENS) for span in captured.spans if span.name == CALL]
    assert told.count(OUTPUT) == (0 if forwarded else 1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the SDK's own left-overs
async def test_queries_beside_each_other_and_one_that_is_left_keep_apart(
    captured: Captured, options: Callable[..., Any]
) -> None:
    async def one() -> None:
        async for _ in sdk.query(prompt=SEARCH + BROKEN, options=options()):
            pass

    with fanlight.action("answer"):
        await asyncio.gather(one(), one())
        left = sdk.query(prompt=SEARCH, options=options())
        await anext(left)
        with fanlight.tool("meanwhile"):
            pass
        await left.aclose()
        del left
        for _ in range(20):  # the SDK leaves the generator inside to the garbage collector
            gc.collect()
            await asyncio.sleep(0.1)
            if len([span for span in captured.spans if span.name == "invoke_agent claude"]) == 3:
                break
    (root,) = captured.trees()
    assert sorted(child.name for child in root.children) == [
        "execute_tool meanwhile",
        *["invoke_agent claude"] * 3,
    ]
    whole = [child.shape() for child in root.children][:2]
    assert unordered(whole) == unordered([TURN, TURN])


async def test_nothing_is_left_of_the_hooks(captured: Captured, options: Callable[..., Any]) -> None:
    fanlight.patches.uninstall_all()
    async for _ in sdk.query(prompt="go", options=options()):
        pass
    assert captured.spans == []
