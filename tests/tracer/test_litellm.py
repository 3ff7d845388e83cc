"""litellm is a wrapper: what it calls is counted, its retries and fallbacks are further calls."""

import gc
import os
from collections.abc import Iterator
from typing import Any

import pytest

import fanlight
from fanlight.testing import Captured
from mock_provider import Asked, Fault, Provider
from sdk_drivers import AsyncDriver, Driver
from sdks import MAX_TOKENS, imported
from span_trees import Node, described, estimated, plain_call

pytestmark = pytest.mark.filterwarnings("ignore")  # it imports parts of itself late, with warnings of its own
ENDS = {"openai": "/v1", "anthropic": ""}
MESSAGES = [{"role": "user", "content": "one two three"}]


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Loops that litellm did not close are gone before the next test, which would be blamed for them."""
    yield
    gc.collect()


@pytest.fixture(params=list(ENDS))
def vendor(request: pytest.FixtureRequest) -> str:
    """By way of an SDK, and by way of litellm's own HTTP client."""
    return str(request.param)


def complete(driver: Driver, model: str, url: str, **more: Any) -> Any:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else its import asks a server for prices
    litellm = imported("litellm")
    ask = litellm.acompletion if isinstance(driver, AsyncDriver) else litellm.completion
    options = {"max_retries": 0, "max_tokens": MAX_TOKENS, **more}
    return driver.run(ask(model=model, messages=MESSAGES, api_base=url, api_key="k", **options))


def whole(truth: Asked, **facts: Any) -> Node:
    return plain_call(truth, max_tokens=MAX_TOKENS, **facts)


def test_a_completion_is_one_call(
    provider: Provider, driver: Driver, captured: Captured, vendor: str
) -> None:
    url = provider.scenario(end=ENDS[vendor])
    with fanlight.action("answer"):
        complete(driver, f"{vendor}/m", url)
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [Node("answer", below=(whole(truth),))]


def test_a_streamed_completion_is_one_call(
    provider: Provider, driver: Driver, captured: Captured, vendor: str
) -> None:
    url = provider.scenario(end=ENDS[vendor])
    more = {"stream": True, "stream_options": {"include_usage": True}}
    driver.take(complete(driver, f"{vendor}/m", url, **more))
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [
        whole(truth, stream=True, stream_end="completed", chunks=truth.events_sent)
    ]


def test_its_retries_are_calls(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario(Fault(status=500), Fault(), end="")
    complete(driver, "anthropic/m", url, num_retries=1)
    lost, truth = provider.truth(url, expect=2)
    failed = Node("chat m").but(
        model="m",
        max_tokens=MAX_TOKENS,
        requests=1,
        http=500,
        outcome="unknown",
        error="500",
        **estimated(lost),
    )
    assert described(captured) == [failed, whole(truth)]


def test_retries_that_it_leaves_to_an_sdk_are_requests_of_one_call(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    url = provider.scenario(Fault(status=500, headers={"retry-after-ms": "1"}), Fault())
    complete(driver, "openai/m", url, num_retries=1)
    (_, truth) = provider.truth(url, expect=2)
    (call,) = described(captured)
    assert call.facts == whole(truth, requests=2, outcome=None, http=None).facts
    assert [request.facts["http"] for request in call.below] == [500, 200]


def test_a_fallback_is_a_further_call(provider: Provider, driver: Driver, captured: Captured) -> None:
    broken = provider.scenario(Fault(status=500))
    url = provider.scenario(end="")
    instead = {"model": "anthropic/m", "api_base": url, "api_key": "k"}
    with fanlight.action("answer"):
        complete(driver, "openai/m", broken, fallbacks=[instead])
    (truth,) = provider.truth(url, expect=1)
    (action,) = described(captured)
    assert [call.facts["http"] for call in action.below] == [500] * (len(action.below) - 1) + [200]
    assert len(action.below) == 1 + len(provider.truth(broken))
    assert action.below[-1] == whole(truth)
