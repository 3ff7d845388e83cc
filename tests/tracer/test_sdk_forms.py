"""Other forms of a call: raw responses, stream helpers, threads and tasks, and what is asked beside chat."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

import fanlight
from fanlight.testing import Captured
from mock_provider import Asked, Provider
from sdk_drivers import AsyncDriver, Driver, SyncDriver
from sdks import MAX_TOKENS, PROMPT, AnthropicSdk, CohereSdk, GoogleSdk, GroqSdk, MistralSdk, OllamaSdk, Sdk
from span_trees import Node, described, plain_call

MESSAGES = [{"role": "user", "content": PROMPT}]
ASK: dict[str, Any] = {"model": "m", "messages": MESSAGES}
ANTHROPIC = {**ASK, "max_tokens": MAX_TOKENS}


@pytest.fixture(params=[AnthropicSdk, GroqSdk])
def stainless(request: pytest.FixtureRequest, driver: Driver) -> Sdk:
    """SDKs of the family that gives responses in other forms; openai has its own tests."""
    made: Sdk = request.param(driver)
    return made


def resource(sdk: Sdk, client: Any) -> tuple[Any, dict[str, Any]]:
    if isinstance(sdk, AnthropicSdk):
        return client.messages, ANTHROPIC
    return client.chat.completions, ASK


def whole(sdk: Sdk, truth: Asked, **facts: Any) -> Node:
    return plain_call(truth).but(**sdk.asks, **facts)


def test_a_raw_response_is_the_same_call(provider: Provider, stainless: Sdk, captured: Captured) -> None:
    url = provider.scenario(end=stainless.end)
    asked, options = resource(stainless, stainless.client(url))
    raw = stainless.driver.run(asked.with_raw_response.create(**options))
    assert stainless.driver.run(raw.parse()).model == "m-2026"
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [whole(stainless, truth)]


def test_a_streaming_response_is_the_same_call(
    provider: Provider, stainless: Sdk, captured: Captured
) -> None:
    url = provider.scenario(end=stainless.end)
    asked, options = resource(stainless, stainless.client(url))
    manager = asked.with_streaming_response.create(**options)
    stainless.driver.within(manager, lambda response: stainless.driver.run(response.parse()))
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [whole(stainless, truth)]


def test_anthropics_stream_helper_is_the_same_call(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    sdk = AnthropicSdk(driver)
    url = provider.scenario(end=sdk.end)
    manager = sdk.client(url).messages.stream(**ANTHROPIC)
    final = driver.within(manager, lambda stream: driver.run(stream.get_final_message()))
    (truth,) = provider.truth(url, expect=1)
    assert final.usage.output_tokens == truth.output_tokens
    assert described(captured) == [
        whole(sdk, truth, stream=True, stream_end="completed", chunks=truth.events_sent)
    ]


def test_counting_tokens_asks_no_model(provider: Provider, driver: Driver, captured: Captured) -> None:
    client = AnthropicSdk(driver).client(provider.scenario(end=""))
    assert driver.run(client.messages.count_tokens(**ASK)).input_tokens
    assert described(captured) == []


def google(client: Any, driver: Driver) -> Any:
    return client.aio.models if isinstance(driver, AsyncDriver) else client.models


def mistral(client: Any, driver: Driver, name: str) -> Any:
    return getattr(client.embeddings, name + ("_async" if isinstance(driver, AsyncDriver) else ""))


TEXTS = ["one two", "three"]
# What is called, and what its span is named and says beside what any has.
OTHER_CALLS: list[tuple[type[Sdk], Callable[[Any, Driver], Any], str, dict[str, Any]]] = [
    (
        GoogleSdk,
        lambda client, driver: google(client, driver).embed_content(model="m", contents=TEXTS),
        "embeddings m",
        {"inputs": 2},
    ),
    (
        MistralSdk,
        lambda client, driver: mistral(client, driver, "create")(model="m", inputs=TEXTS),
        "embeddings m",
        {"inputs": 2, "answered_by": "m", "usage": "reported"},
    ),
    (
        CohereSdk,
        lambda client, driver: client.embed(
            model="m", texts=TEXTS, input_type="search_query", embedding_types=["float"]
        ),
        "embeddings m",
        {"inputs": 2, "usage": "reported"},
    ),
    (
        CohereSdk,
        lambda client, driver: client.rerank(model="m", query="which", documents=TEXTS),
        "rerank m",
        {"inputs": 2},
    ),
    (
        OllamaSdk,
        lambda client, driver: client.embed(model="m", input=TEXTS),
        "embeddings m",
        {"inputs": 2, "answered_by": "m", "usage": "reported"},
    ),
]


@pytest.mark.parametrize(
    ("kind", "ask", "name", "says"),
    OTHER_CALLS,
    ids=[f"{kind.name}-{name}" for kind, _, name, _ in OTHER_CALLS],
)
def test_other_calls_are_calls_too(
    provider: Provider,
    driver: Driver,
    captured: Captured,
    kind: type[Sdk],
    ask: Callable[[Any, Driver], Any],
    name: str,
    says: dict[str, Any],
) -> None:
    sdk = kind(driver)
    url = provider.scenario(end=sdk.end)
    driver.run(ask(sdk.client(url), driver))
    (truth,) = provider.truth(url, expect=1)
    tokens = {"input": truth.input_tokens} if "usage" in says else {}
    assert described(captured) == [
        Node(name).but(model="m", requests=1, http=200, outcome="answered", **tokens, **says)
    ]


def test_calls_in_threads_and_tasks_belong_to_their_step(
    provider: Provider, sdk: Sdk, captured: Captured
) -> None:
    url = provider.scenario(end=sdk.end)
    client = sdk.client(url)

    async def together() -> None:
        await asyncio.gather(*(sdk.begin(client, stream=False) for _ in range(3)))

    with fanlight.action("answer"), fanlight.agent("planner"):
        if isinstance(sdk.driver, SyncDriver):
            threads = [threading.Thread(target=sdk.ask, args=(client,)) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        else:
            sdk.driver.run(together())
    (root,) = captured.trees()
    assert root.shape() == ("answer", [("invoke_agent planner", [f"{sdk.operation} m"] * 3)])
