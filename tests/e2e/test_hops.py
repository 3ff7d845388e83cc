"""Servers between an app and the model that are traced themselves: what each asks a model counts once."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mock_provider import Asked, Provider, running_provider
from running import SUPPORT, Up, run_program, running_server, running_up
from serving import eventually

pytest.importorskip("openinference.instrumentation.openai", reason="not beside the oldest SDKs")
ROLES = ("gateway", "watched", "engine", "service")
CHATS = "SELECT count() AS n FROM otel_traces WHERE SpanName = 'chat m'"
SENT_BY_FANLIGHT = 6  # five in the app, one in the gateway that it watches
COLUMNS = "model_calls, requests, input_tokens, output_tokens, gateway_calls, traces, orphans"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Up, dict[str, list[Asked]]]]:
    """The store after all actions, and what the provider was asked behind each server."""
    folder: Path = tmp_path_factory.mktemp("hops")
    with ExitStack() as stack:
        provider: Provider = stack.enter_context(running_provider())
        up = stack.enter_context(running_up(f"chdb://{folder}/data", folder))
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": up.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        asked_at = {role: provider.scenario() for role in ROLES}
        urls = {}
        for role in ROLES:
            server = running_server(SUPPORT / "hop.py", role, asked_at[role], **environment)
            urls[role] = f"http://127.0.0.1:{stack.enter_context(server)}"
        run_program(
            SUPPORT / "hops_app.py", json.dumps(urls), FANLIGHT_PROPAGATE_TO="127.0.0.1", **environment
        )
        eventually(lambda: up.rows(CHATS) == [{"n": SENT_BY_FANLIGHT}])
        up.settle()
        yield up, {role: provider.truth(url) for role, url in asked_at.items()}


def counted(up: Up, name: str) -> dict[str, Any]:
    (row,) = up.rows(f"SELECT {COLUMNS} FROM actions WHERE action_name = '{name}'")
    return row


def row(calls: int, requests: int, asked: list[Asked], **more: Any) -> dict[str, Any]:
    return {
        "model_calls": calls,
        "requests": requests,
        "input_tokens": sum(one.input_tokens for one in asked),
        "output_tokens": sum(one.output_tokens for one in asked),
        "gateway_calls": 0,
        "traces": 1,
        "orphans": 0,
        **more,
    }


Ran = tuple[Up, dict[str, list[Asked]]]


def test_of_a_call_through_a_gateway_what_it_sends_on_counts(ran: Ran) -> None:
    up, asked = ran
    assert counted(up, "gateway") == row(1, 1, asked["gateway"][:1], gateway_calls=1)


def test_a_gateway_that_fanlight_traces_itself_is_no_second_call(ran: Ran) -> None:
    up, asked = ran
    assert counted(up, "watched") == row(1, 1, asked["watched"], gateway_calls=1)


def test_an_engines_span_under_a_call_is_none(ran: Ran) -> None:
    up, asked = ran
    assert counted(up, "engine") == row(1, 1, asked["engine"][:1])


def test_calls_of_a_service_in_between_that_another_tracer_watches_are_the_actions(ran: Ran) -> None:
    up, asked = ran
    assert counted(up, "service") == row(2, 2, asked["service"])


def test_calls_beside_each_other_take_one_way_each(ran: Ran) -> None:
    up, asked = ran
    assert counted(up, "both") == row(2, 2, [asked["gateway"][1], asked["engine"][1]], gateway_calls=1)


def test_nothing_of_it_is_an_action_of_its_own(ran: Ran) -> None:
    up, _ = ran
    assert up.rows("SELECT count() AS n FROM actions") == [{"n": 5}]
