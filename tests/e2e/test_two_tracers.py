"""fanlight beside other tracers of the same SDKs, switched on before or after it: each call counts once."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mock_provider import Asked, Fault, Provider, running_provider
from requirements import require
from running import SUPPORT, Up, run_program, running_up

ROOT = SUPPORT.parents[1]
# Whose spans are to be there, by the start of their scope.
SCOPES = {
    "openinference": ["openinference.instrumentation.openai"],
    "openllmetry": ["opentelemetry.instrumentation.openai"],
    "otel-genai": ["opentelemetry.instrumentation.genai.openai"],
    "otel-openai-v2": ["opentelemetry.instrumentation.openai_v2"],
    "otel-httpx": ["opentelemetry.instrumentation.httpx"],
    "logfire": ["logfire.openai"],
}
SCOPES["together"] = SCOPES["logfire"]  # which silences those that are below it
# openai-v2 is built on another version than its successor, and Logfire puts plugins into pytest and pydantic.
ENVIRONMENTS = dict.fromkeys(("otel-openai-v2", "logfire", "together"), ".venv-frameworks2")
HEEDLESS = ("otel-genai", "otel-openai-v2")  # which tell of calls where the app has switched tracing off
AGAIN = Fault(status=500, headers={"retry-after-ms": "1"})
FAULTS = [Fault(), Fault(), AGAIN, Fault(), Fault(), AGAIN, Fault(), Fault(), Fault()]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder: Path = tmp_path_factory.mktemp("two")
    with running_up(f"chdb://{folder}/data", folder) as running:
        yield running


def expected(asked: list[Asked], heedless: bool) -> list[tuple[str, int, int, int, int]]:
    """Name, calls, requests, input and output tokens, by what the provider was asked."""
    plain, stream, _, retried, embeddings, _, asynchronous, silenced, *message = asked
    told = [
        ("plain", 1, plain),
        ("stream", 1, stream),
        ("retried", 2, retried),
        ("embeddings", 1, embeddings),
        ("async", 2, asynchronous),
        *(("message", 1, truth) for truth in message),
    ]
    rows = [(name, 1, requests, truth.input_tokens, truth.output_tokens) for name, requests, truth in told]
    told_of_silenced = ("silenced", 1, 1, silenced.input_tokens, silenced.output_tokens)
    return [*rows[:5], told_of_silenced if heedless else ("silenced", 0, 0, 0, 0), *rows[5:]]


def interpreter(other: str) -> str:
    """The Python that has this tracer."""
    if other not in ENVIRONMENTS:
        return sys.executable
    python = ROOT / ENVIRONMENTS[other] / "bin" / "python"
    require(python.exists(), str(python))
    return str(python)


@pytest.mark.parametrize("turn", ["first", pytest.param("second", marks=pytest.mark.slow)])
@pytest.mark.parametrize("other", SCOPES)
def test_each_call_counts_once(provider: Provider, up: Up, other: str, turn: str) -> None:
    url = provider.scenario(*FAULTS, end="")
    program = SUPPORT / "two_tracers.py"
    run_program(program, other, turn, url, python=interpreter(other), OTEL_EXPORTER_OTLP_ENDPOINT=up.url)
    up.settle()
    for scope in SCOPES[other]:
        seen = up.rows(
            f"SELECT count() AS n FROM otel_traces WHERE startsWith(ScopeName, '{scope}') AND TraceId IN "
            f"(SELECT TraceId FROM otel_traces WHERE startsWith(SpanName, '{other} {turn} '))"
        )
        assert int(seen[0]["n"]), f"{scope} saw nothing"
    rows = up.rows(
        "SELECT splitByChar(' ', action_name)[-1] AS name, model_calls, requests, "
        "coalesce(input_tokens, 0) AS input, coalesce(output_tokens, 0) AS output FROM actions "
        f"WHERE startsWith(action_name, '{other} {turn} ') ORDER BY started_at"
    )
    asked = 8 if other in ENVIRONMENTS else 9
    assert [tuple(row.values()) for row in rows] == expected(
        provider.truth(url, expect=asked), heedless=other in HEEDLESS
    )


def test_what_logfires_exporter_sends_again_is_in_no_figure(up: Up) -> None:
    """It sends fanlight's spans, too, under the same ids; that no figure has them twice is told above."""
    (sent,) = up.rows(
        "SELECT count() AS times, uniqExact(SpanId) AS spans FROM otel_traces WHERE ScopeName = 'fanlight' "
        "AND TraceId IN (SELECT TraceId FROM otel_traces WHERE startsWith(SpanName, 'logfire first '))"
    )
    assert int(sent["times"]) > int(sent["spans"])


def test_calls_of_others_are_in_no_action_of_their_own(up: Up) -> None:
    """After all of the above."""
    assert up.rows("SELECT action_name, model_calls FROM actions WHERE action_source = 'inferred'") == []
