"""Amazon Bedrock through boto3: Converse and InvokeModel, whole and as event streams read lazily."""

import gc
import importlib
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

import fanlight
from fanlight import patches
from fanlight.testing import Captured
from mock_provider import Asked, Fault, Provider
from span_trees import Node, described, estimated, plain_call, said

pytest.importorskip("boto3")

MESSAGES = [{"role": "user", "content": [{"text": "Say something about the window."}]}]
INVOKED: Any = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "Say something about the window."}],
}
ASKED = {"max_tokens": 64}


class Api:
    """One of the two APIs of Bedrock, whole and streamed."""

    def __init__(self, name: str) -> None:
        self.name = name

    def client(self, url: str, *, tries: int = 1, timeout_s: float = 5) -> Any:
        boto3, config = importlib.import_module("boto3"), importlib.import_module("botocore.config")
        return boto3.client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=url,
            aws_access_key_id="fake",
            aws_secret_access_key="fake",
            config=config.Config(
                retries={"mode": "standard", "total_max_attempts": tries}, read_timeout=timeout_s
            ),
        )

    def ask(self, client: Any, model: str = "m") -> Any:
        if self.name == "invoke":
            return json.loads(client.invoke_model(modelId=model, body=json.dumps(INVOKED))["body"].read())
        return client.converse(modelId=model, messages=MESSAGES, inferenceConfig={"maxTokens": 64})

    def stream(self, client: Any) -> Any:
        if self.name == "invoke":
            return client.invoke_model_with_response_stream(modelId="m", body=json.dumps(INVOKED))["body"]
        given = {"modelId": "m", "messages": MESSAGES, "inferenceConfig": {"maxTokens": 64}}
        return client.converse_stream(**given)["stream"]

    def text_of(self, event: Any) -> str | None:
        """The text in an event of a stream, if it has some."""
        if self.name == "invoke":
            event = json.loads(event["chunk"]["bytes"])
        else:
            event = event.get("contentBlockDelta", {})
        text: str | None = event.get("delta", {}).get("text")
        return text

    def read(self, stream: Iterator[Any], texts: int) -> None:
        """Read so many events with text, and then stop."""
        seen = 0
        while seen < texts:
            seen += self.text_of(next(stream)) is not None


@pytest.fixture(params=["converse", "invoke"])
def api(request: pytest.FixtureRequest) -> Api:
    return Api(request.param)


def begun(api: Api, truth: Asked, events: int, end: str, **facts: Any) -> Node:
    """A stream that was left: InvokeModel's first event has told the input and the model already."""
    told: dict[str, Any] = {"finish": None, "stream": True, "stream_end": end, "chunks": events}
    if api.name == "converse":
        told |= {**estimated(truth), "cached": None, "cache_write": None, "output": events}
    return plain_call(truth).but(**{**ASKED, **told, **facts})


def test_a_call_is_one_span(provider: Provider, api: Api, captured: Captured) -> None:
    url = provider.scenario(end="")
    with fanlight.action("answer"):
        answer = api.ask(api.client(url))
    (truth,) = provider.truth(url, expect=1)
    assert answer["usage"]
    assert described(captured) == [Node("answer", below=(plain_call(truth, **ASKED),))]
    assert captured.with_role("call")[0].attributes["gen_ai.provider.name"] == "aws.bedrock"


def test_a_stream_is_read_to_its_end(provider: Provider, api: Api, captured: Captured) -> None:
    url = provider.scenario(end="")
    stream = api.stream(api.client(url))
    assert captured.spans == []
    texts = [text for event in stream if (text := api.text_of(event)) is not None]
    (truth,) = provider.truth(url, expect=1)
    assert len(texts) == truth.events_sent
    assert described(captured) == [
        plain_call(truth, **ASKED, stream=True, stream_end="completed", chunks=truth.events_sent)
    ]


def test_a_closed_stream(provider: Provider, api: Api, captured: Captured) -> None:
    url = provider.scenario(Fault(pace_s=0.005), end="")
    stream = api.stream(api.client(url))
    api.read(iter(stream), 8)
    stream.close()
    (truth,) = provider.truth(url, expect=1)
    (call,) = described(captured)
    seen = call.facts["chunks"]
    assert 8 <= seen <= truth.events_sent + 1
    assert call.facts["stream_end"] == "closed"
    assert call.facts["outcome"] == "answered"


def test_a_stream_cut_by_the_server(provider: Provider, api: Api, captured: Captured) -> None:
    url = provider.scenario(Fault(cut_after=10), end="")
    stream = api.stream(api.client(url))
    with pytest.raises(Exception, match=r"(?i)connection broken|ended prematurely|incomplete|closed"):
        list(stream)
    (call,) = described(captured)
    assert (call.facts["stream_end"], call.facts["error"]) == ("cut", "IncompleteRead")
    assert (call.facts["outcome"], call.facts["chunks"]) == ("unknown", 10)


def test_a_stream_that_stalls(provider: Provider, api: Api, captured: Captured) -> None:
    url = provider.scenario(Fault(hang_after=4), end="")
    stream = api.stream(api.client(url, timeout_s=0.3))
    with pytest.raises(Exception, match=r"(?i)timed out|timeout"):
        list(stream)
    (call,) = described(captured)
    assert (call.facts["stream_end"], call.facts["error"]) == ("error", "TimeoutError")
    assert (call.facts["outcome"], call.facts["chunks"]) == ("unknown", 4)


def test_a_stream_that_is_never_read(provider: Provider, api: Api, captured: Captured) -> None:
    url = provider.scenario(end="")
    stream = api.stream(api.client(url))
    provider.truth(url, expect=1)
    stream.close()
    del stream
    gc.collect()
    (call,) = described(captured)
    assert (call.facts["stream_end"], call.facts["outcome"]) == ("closed", "unknown")


def test_every_try_is_a_request_of_one_call(provider: Provider, api: Api, captured: Captured) -> None:
    url = provider.scenario(Fault(status=503), Fault(), end="")
    api.ask(api.client(url, tries=2))
    first, second = provider.truth(url, expect=2)
    path = f"POST /{'/'.join(url.split('/')[3:])}{first.path}"
    below = (
        Node(path).but(model="m", resend=0, http=503, outcome="refused", error="503"),
        Node(path).but(model="m", resend=1, http=200, outcome="answered", **said(second)),
    )
    facts = {"model": "m", **ASKED, "requests": 2, **said(second)}
    assert described(captured) == [Node("chat m", facts, below=below)]


def test_a_call_that_fails(provider: Provider, api: Api, captured: Captured) -> None:
    url = provider.scenario(Fault(status=400), end="")
    client = api.client(url)
    with pytest.raises(client.exceptions.ClientError):
        api.ask(client)
    (call,) = described(captured)
    assert (call.facts["requests"], call.facts["http"], call.facts["outcome"]) == (1, 400, "refused")
    assert call.failed


def test_an_answer_that_is_late(provider: Provider, api: Api, captured: Captured) -> None:
    url = provider.scenario(Fault(delay_s=1), end="")
    with pytest.raises(Exception, match=r"(?i)timeout"):
        api.ask(api.client(url, timeout_s=0.2))
    (call,) = described(captured)
    assert (call.facts["outcome"], call.facts["error"]) == ("unknown", "ReadTimeoutError")


def test_a_connection_that_is_refused(api: Api, captured: Captured) -> None:
    with pytest.raises(Exception, match="Could not connect"):
        api.ask(api.client("http://127.0.0.1:1"))
    (call,) = described(captured)
    assert (call.facts["outcome"], call.facts["error"]) == ("refused", "EndpointConnectionError")


def test_the_model_may_be_an_inference_profile(provider: Provider, api: Api, captured: Captured) -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-3-5-haiku-v1:0"
    url = provider.scenario(end="")
    api.ask(api.client(url), model=arn)
    (call,) = described(captured)
    assert call.name == f"chat {arn}"
    assert call.facts["requests"] == 1


def test_a_body_that_is_a_file_is_no_reason_to_miss_the_call(provider: Provider, captured: Captured) -> None:
    url = provider.scenario(end="")
    body = io.BytesIO(json.dumps(INVOKED).encode())
    Api("invoke").client(url).invoke_model(modelId="m", body=body)["body"].read()
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [plain_call(truth)]


def test_other_services_and_operations_are_none(provider: Provider, captured: Captured) -> None:
    url = provider.scenario(end="")
    client = Api("converse").client(url)
    with pytest.raises(client.exceptions.ClientError):  # the mock provider has no such operation
        client.count_tokens(modelId="m", input={"converse": {"messages": MESSAGES}})
    client.list_async_invokes()
    assert described(captured) == []


def test_one_client_can_be_wrapped(provider: Provider, api: Api, captured: Captured) -> None:
    url = provider.scenario(Fault(status=503), Fault(), end="")
    patches.uninstall_all()
    wrapped, other = patches.wrap_client(api.client(url, tries=2)), api.client(url)
    api.ask(wrapped)
    api.ask(other)
    (call,) = described(captured)
    assert call.facts["requests"] == len(call.below) == 2
