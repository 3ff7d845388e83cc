"""Calls of every SDK: each is one span with what its provider says, however many requests it takes."""

from typing import Any

import pytest

import fanlight
from fanlight import patches
from fanlight.patches import _one_client
from fanlight.testing import Captured
from mock_provider import Asked, Fault, Provider
from sdks import Sdk
from span_trees import Node, answered_request, described, estimated, failed_request, plain_call

QUICKLY = {"retry-after-ms": "1"}  # read by openai, anthropic, groq and cohere
FAILED = Fault(status=500, headers=QUICKLY)


def whole(sdk: Sdk, truth: Asked, **facts: Any) -> Node:
    """A call that took one request and was answered."""
    node = plain_call(truth)
    return Node(f"{sdk.operation} m", node.facts).but(**sdk.asks, **facts)


def raises(sdk: Sdk, client: Any) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011  (every SDK has its own)
        sdk.ask(client)
    return caught.value


@pytest.fixture
def retrying(sdk: Sdk) -> Sdk:
    if not sdk.retries:
        pytest.skip(f"{sdk.name} does not try again")
    return sdk


def test_a_plain_call_is_one_span(provider: Provider, sdk: Sdk, captured: Captured) -> None:
    url = provider.scenario(end=sdk.end)
    sdk.ask(sdk.client(url))
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [whole(sdk, truth)]


def test_every_try_is_a_child(provider: Provider, retrying: Sdk, captured: Captured) -> None:
    limited = Fault(status=429, headers=QUICKLY)
    url = provider.scenario(FAILED, limited, Fault(), end=retrying.end)
    retrying.ask(retrying.client(url, retries=2))
    truth = provider.truth(url, expect=3)
    assert [asked.status for asked in truth] == [500, 429, 200]
    assert described(captured) == [
        Node(
            f"{retrying.operation} m",
            whole(retrying, truth[2], requests=3, outcome=None, http=None).facts,
            below=(
                failed_request(url, 0, truth[0]),
                failed_request(url, 1, truth[1]),
                answered_request(url, 2, truth[2]),
            ),
        )
    ]


def test_a_call_that_is_never_answered(provider: Provider, retrying: Sdk, captured: Captured) -> None:
    url = provider.scenario(FAILED, end=retrying.end)
    raises(retrying, retrying.client(url, retries=1))
    truth = provider.truth(url, expect=2)
    assert len(truth) == 2 or retrying.retries_by_time
    assert described(captured) == [
        Node(
            f"{retrying.operation} m",
            {
                "model": "m",
                "requests": len(truth),
                "error": retrying.errors[500],
                **retrying.asks,
                **estimated(truth[0]),
            },
            failed=True,
            below=tuple(failed_request(url, number, asked) for number, asked in enumerate(truth)),
        )
    ]


@pytest.mark.parametrize(("status", "outcome"), [(400, "refused"), (500, "unknown")])
def test_a_failed_call_is_one_failed_span(
    provider: Provider, sdk: Sdk, captured: Captured, status: int, outcome: str
) -> None:
    url = provider.scenario(Fault(status=status), end=sdk.end)
    raises(sdk, sdk.client(url))
    (truth,) = provider.truth(url, expect=1)
    lost = estimated(truth) if outcome == "unknown" else {}
    assert described(captured) == [
        Node(f"{sdk.operation} m").but(
            model="m",
            requests=1,
            http=status,
            outcome=outcome,
            error=sdk.errors[status],
            **sdk.asks,
            **lost,
        )
    ]


def test_a_reset_connection_is_a_request(provider: Provider, sdk: Sdk, captured: Captured) -> None:
    url = provider.scenario(Fault(reset=True), end=sdk.end)
    raises(sdk, sdk.client(url))
    (truth,) = provider.truth(url, expect=1)
    (call,) = described(captured)
    assert call.facts.pop("error") in ("ReadError", "RemoteProtocolError", "APIConnectionError")
    assert call.facts == {
        "model": "m",
        "requests": 1,
        "outcome": "unknown",
        **sdk.asks,
        **estimated(truth),
    }


def test_a_timeout_leaves_the_answer_unknown(provider: Provider, sdk: Sdk, captured: Captured) -> None:
    url = provider.scenario(Fault(delay_s=1.2), end=sdk.end)
    raises(sdk, sdk.client(url, timeout_s=0.4))  # enough to be sent, on a busy machine too
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [
        Node(f"{sdk.operation} m").but(
            model="m",
            requests=1,
            outcome="unknown",
            error=sdk.errors["timeout"],
            **sdk.asks,
            **estimated(truth),
        )
    ]


def test_calls_belong_to_their_step(provider: Provider, sdk: Sdk, captured: Captured) -> None:
    url = provider.scenario(end=sdk.end)
    client = sdk.client(url)
    with fanlight.action("answer"), fanlight.agent("planner"):
        sdk.ask(client)
        with fanlight.tool("search"):
            sdk.ask(client)
    name = f"{sdk.operation} m"
    (root,) = captured.trees()
    assert root.shape() == (
        "answer",
        [("invoke_agent planner", [name, ("execute_tool search", [name])])],
    )


def test_one_wrapped_client_has_its_tries_in_one_call(
    provider: Provider, sdk: Sdk, captured: Captured
) -> None:
    patches.uninstall_all()
    faults = [FAILED, Fault()] if sdk.retries else []
    url = provider.scenario(*faults, end=sdk.end)
    client = patches.wrap_client(sdk.client(url, retries=1))
    sdk.ask(sdk.client(provider.scenario(end=sdk.end)))  # another one is not traced
    sdk.ask(client)
    truth = provider.truth(url, expect=len(faults) or 1)
    (call,) = described(captured)
    assert call.facts["requests"] == len(truth)
    assert len(call.below) == len(faults)


def test_a_wrapped_client_is_as_it_was_when_tracing_ends(provider: Provider, sdk: Sdk) -> None:
    client = sdk.client(provider.scenario(end=sdk.end))
    family = _one_client._family_of(client)
    assert family is not None
    watched = [client, *family.http_clients(client)]
    before = [dict(vars(part)) for part in watched]
    patches.wrap_client(client)
    assert [dict(vars(part)) for part in watched] != before
    patches.uninstall_all()
    for part, was in zip(watched, before, strict=True):
        assert "_fanlight_hooks" not in vars(part)
        # mistralai makes its parts when they are first asked for.
        assert {name: value for name, value in vars(part).items() if name in was} == was
