"""Background responses, batches and SDKs with spans of their own, in the store: each request counts once."""

from collections.abc import Iterator
from pathlib import Path

import anthropic
import pytest

from mock_provider import Asked, Fault, Provider, running_provider
from running import SUPPORT, Up, run_program, running_up


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


@pytest.fixture(scope="module")
def ran(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Up, list[Asked]]]:
    """The store after the program, and what the provider was asked: a response, a batch, a message twice."""
    folder: Path = tmp_path_factory.mktemp("later")
    again = Fault(status=500, headers={"retry-after-ms": "1"})
    url = provider.scenario(Fault(), Fault(), again, Fault(), end="")
    with running_up(f"chdb://{folder}/data", folder) as up:
        run_program(SUPPORT / "counted_once.py", url, OTEL_EXPORTER_OTLP_ENDPOINT=up.url)
        up.settle()
        yield up, provider.truth(url, expect=5)


def test_a_background_response_is_one_request_with_the_tokens_of_a_later_look(
    ran: tuple[Up, list[Asked]],
) -> None:
    up, (asked, *_) = ran
    columns = "model_calls, requests, input_tokens, output_tokens, workload"
    assert up.rows(f"SELECT {columns} FROM actions WHERE action_name = 'background'") == [
        {
            "model_calls": 1,
            "requests": 1,
            "input_tokens": asked.input_tokens,
            "output_tokens": asked.output_tokens,
            "workload": "serving",
        }
    ]


def test_a_batch_that_is_read_twice_is_its_lines_once(ran: tuple[Up, list[Asked]]) -> None:
    up, (_, asked, *_) = ran
    lines = asked.said["lines"]
    (row,) = up.rows(
        "SELECT sum(requests) AS requests, sum(errors) AS errors, sum(input_tokens) AS input, "
        "sum(output_tokens) AS output, groupUniqArray(user_id) AS users FROM actions WHERE workload = 'batch'"
    )
    assert {key: row[key] for key in ("requests", "errors", "users")} == {
        "requests": 3,
        "errors": 1,
        "users": ["u-1"],
    }
    assert row["input"] == sum(line["input"] for line in lines)
    assert row["output"] == sum(line["output"] for line in lines)


def test_an_sdk_with_spans_of_its_own_is_counted_once(ran: tuple[Up, list[Asked]]) -> None:
    up, (*_, asked, _) = ran
    own = up.rows("SELECT count() AS n FROM otel_traces WHERE ScopeName = 'com.anthropic.sdk.python'")
    if anthropic.__version__ >= "2":
        assert int(own[0]["n"]) == 1, "the SDK says nothing of itself any more"
    columns = "model_calls, requests, input_tokens, output_tokens"
    assert up.rows(f"SELECT {columns} FROM actions WHERE action_name = 'traced'") == [
        {
            "model_calls": 1,
            "requests": 2,
            "input_tokens": asked.input_tokens,
            "output_tokens": asked.output_tokens,
        }
    ]


def test_litellms_own_span_is_no_call(ran: tuple[Up, list[Asked]]) -> None:
    up, (*_, asked) = ran
    calls = up.rows(
        "SELECT model, requests, input_tokens FROM model_calls WHERE action_id IN "
        "(SELECT action_id FROM actions WHERE action_source = 'inferred' AND workload = 'serving')"
    )
    assert calls == [{"model": "lite-2026", "requests": 1, "input_tokens": asked.input_tokens}]
