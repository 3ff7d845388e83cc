"""Keys are in no attribute, no log line, no file and not on stderr, wherever an app puts them."""

import base64
import contextlib
import json
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fanlight
from fanlight import _guard
from fanlight._config import read_config
from fanlight._secrets import MAX_CHARS, without_secrets
from mock_provider import Provider
from otlp_receiver import OtlpReceiver
from sdk_drivers import MESSAGES
from sdks import Sdk
from transport_drivers import DRIVERS
from wiretap import Wiretap, wiretap

KEY = "sk-s3cr3t-0f1e2d3c4b5a69788796a5b4"
PASSWORD = "passw0rd0f1e2d3c4b5a"
SECRETS = [text.encode() for text in (KEY, "s3cr3t", PASSWORD, "sk-secret")]
LOGIN = base64.b64encode(f"me:{PASSWORD}".encode()).rstrip(b"=")
HEADERS = {"authorization": f"Bearer {KEY}", "x-api-key": KEY, "api-key": KEY, "x-goog-api-key": KEY}
BODY = {"model": "m", "messages": MESSAGES, "api_key": KEY}
PATHS = ("/v1/chat/completions", "/refused/v1/chat/completions")


class Trail:
    """All that fanlight leaves anywhere."""

    def __init__(self, collector: OtlpReceiver, caplog: pytest.LogCaptureFixture) -> None:
        self._collector = collector
        self._caplog = caplog
        self._files = b""

    def look(self) -> None:
        """Keep what is in the spool now."""
        for path in Path(os.environ["FANLIGHT_SPOOL_DIR"]).glob("*"):
            self._files += path.read_bytes()

    def assert_clean(self, calls: str, stderr: str) -> None:
        self.look()
        assert fanlight.flush()
        assert calls in self._collector.names
        assert calls.encode() in self._files  # so what is searched is what was written
        sent = b"".join(received.request.SerializeToString() for received in self._collector.requests)
        logged = "\n".join(
            logging.Formatter().format(record)
            for record in self._caplog.records
            if record.name.startswith("fanlight")
        )
        for place in (sent, self._files, logged.encode(), stderr.encode()):
            for secret in (*SECRETS, LOGIN):
                assert secret not in place


@pytest.fixture
def tap() -> Iterator[Wiretap]:
    with wiretap() as running:
        yield running


@pytest.fixture
def trail(
    collector: OtlpReceiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Trail:
    """The tracer as it tells most: with the messages of exceptions, and with what was said."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("FANLIGHT_ERROR_MESSAGES", "true")
    monkeypatch.setenv("FANLIGHT_CONTENT", "gen_ai.input.messages,gen_ai.output.messages")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")  # so that the spool has all of it
    fanlight.instrument()
    _guard.raise_errors(False)
    return Trail(collector, caplog)


def failing(ask: Callable[[], object]) -> None:
    """An action that ends with what the app's client raises."""
    with contextlib.suppress(Exception), fanlight.action("ask"), fanlight.tool("asks"):
        ask()


def raising(transport: Any, url: str) -> None:
    """As apps do: an answer that is an error is raised, with what the library says of it."""
    answer = transport.post(url, BODY, headers=HEADERS)
    data = transport.rest(answer)
    if answer.status >= 400:
        with contextlib.suppress(AttributeError):
            answer.response.raise_for_status()
        raise ValueError(f"{answer.status} for {url}: {data.decode()}")


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize("name", DRIVERS)
def test_a_transport_leaves_no_key(
    tap: Wiretap, trail: Trail, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    pytest.importorskip(DRIVERS[name].module_name)
    tap.when_asked = trail.look
    with DRIVERS[name]() as transport:
        for login in ("", f"me:{PASSWORD}@"):
            for port in (tap.port, closed_port()):
                for path in PATHS:
                    url = f"http://{login}127.0.0.1:{port}{path}?key={KEY}&alt=sse"
                    failing(lambda url=url: raising(transport, url))
    assert any(KEY.encode() in head for head in tap.heads)
    trail.assert_clean("chat m", capfd.readouterr().err)


def test_an_sdk_leaves_no_key(
    provider: Provider, tap: Wiretap, sdk: Sdk, trail: Trail, capfd: pytest.CaptureFixture[str]
) -> None:
    tap.when_asked = trail.look
    urls = (provider.scenario(end=sdk.end), f"{tap.url()}/refused/v1", f"http://127.0.0.1:{closed_port()}/v1")
    for url in urls:
        failing(lambda url=url: sdk.ask(sdk.client(url)))
        failing(lambda url=url: sdk.driver.take(sdk.stream(sdk.client(url))))
    assert any(b"sk-secret" in head for head in tap.heads) or sdk.name == "ollama"  # which has no keys
    trail.assert_clean(f"{sdk.operation} m", capfd.readouterr().err)


def test_a_websocket_leaves_no_key(tap: Wiretap, trail: Trail, capfd: pytest.CaptureFixture[str]) -> None:
    client = pytest.importorskip("websockets.sync.client")

    def ask() -> None:
        url = f"ws://me:{PASSWORD}@127.0.0.1:{tap.port}/v1/responses?key={KEY}"
        with client.connect(url, additional_headers=HEADERS) as connection:
            create = {"type": "response.create", "model": "m", "input": "one", "api_key": KEY}
            connection.send(json.dumps(create))
            trail.look()
            connection.recv()

    failing(ask)
    trail.assert_clean("chat m", capfd.readouterr().err)


def test_boto3_leaves_no_key(tap: Wiretap, trail: Trail, capfd: pytest.CaptureFixture[str]) -> None:
    boto3 = pytest.importorskip("boto3")
    tap.when_asked = trail.look
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=tap.url() + "/refused",
        aws_access_key_id=KEY,
        aws_secret_access_key=KEY,
        aws_session_token=KEY,
    )
    asked: Any = [{"role": "user", "content": [{"text": "one two"}]}]
    failing(lambda: client.converse(modelId="m", messages=asked))
    trail.assert_clean("chat m", capfd.readouterr().err)


def test_an_error_of_the_tracers_own_is_logged_without_the_keys_it_quotes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    _guard.raise_errors(False)

    @_guard.guarded
    def reads() -> None:
        raise ValueError(f"no such URL: https://me:{PASSWORD}@host/v1?key={KEY}") from OSError(KEY)

    reads()
    (record,) = caplog.records
    said = logging.Formatter().format(record)
    assert "no such URL" in said
    assert "in reads" in said  # where it was
    assert not [secret for secret in SECRETS if secret.decode() in said]


def test_a_setting_that_is_wrong_is_reported_without_its_keys(caplog: pytest.LogCaptureFixture) -> None:
    read_config({"OTEL_EXPORTER_OTLP_ENDPOINT": f"htp://me:{PASSWORD}@host?key={KEY}"})
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in caplog.text
    assert not [secret for secret in SECRETS if secret.decode() in caplog.text]


SAID: Mapping[str, str] = {
    "Connection refused": "Connection refused",
    "401 for url 'https://me:pw@host/v1?key=abc'": "401 for url 'https://…@host/v1?…'",
    "why? because x=1": "why? because x=1",
    "Max retries with url: /v1?key=abc (Caused by x)": "Max retries with url: /v1?… (Caused by x)",
    "authorization: Bearer abc, basic dXNlcg==": "authorization: Bearer …, basic …",
    "Incorrect API key provided: sk-ab**yz.": "Incorrect API key provided: …",
    "No module named 'a_rather_long_name_of_a_module'": "No module named 'a_rather_long_name_of_a_module'",
    "/usr/lib/python3.14/site-packages/x.py": "/usr/lib/python3.14/site-packages/x.py",
}


@pytest.mark.parametrize("text", SAID)
def test_the_rest_of_a_message_stays(text: str) -> None:
    assert without_secrets(text) == SAID[text]


@given(
    before=st.text(max_size=50),
    key=st.from_regex(r"[A-Za-z][0-9][A-Za-z0-9_-]{18,60}", fullmatch=True),
    after=st.text(max_size=50),
)
def test_a_key_of_letters_and_digits_never_stays(before: str, key: str, after: str) -> None:
    assert key not in without_secrets(f"{before}{key}{after}")


@pytest.mark.parametrize("character", ["a", "1", "="])
def test_a_long_run_is_searched_once(character: str) -> None:
    """From each of its characters anew it would take minutes, in which no thread of the app runs."""
    assert without_secrets(character * MAX_CHARS) == character * MAX_CHARS
