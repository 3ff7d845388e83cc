"""fanlight beside another tracer of the same SDKs, switched on before or after it: each call counts once."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from mock_provider import Asked, Fault, Provider, running_provider
from running import SUPPORT, Up, run_program, running_up

# What is patched by whom; the environment of the oldest SDKs has no other tracers.
MODULES = {
    "openinference": "openinference.instrumentation.openai",
    "openllmetry": "opentelemetry.instrumentation.openai",
    "opentelemetry": "opentelemetry.instrumentation.genai.openai",
}
AGAIN = Fault(status=500, headers={"retry-after-ms": "1"})
FAULTS = [Fault(), Fault(), AGAIN, Fault(), Fault(), AGAIN, Fault(), Fault()]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder: Path = tmp_path_factory.mktemp("two")
    with running_up(f"chdb://{folder}/data", folder) as running:
        yield running


def expected(asked: list[Asked]) -> list[tuple[str, int, int, int, int]]:
    """Name, calls, requests, input and output tokens, by what the provider was asked."""
    plain, stream, _, retried, embeddings, _, asynchronous, message = asked
    told = [
        ("plain", 1, plain),
        ("stream", 1, stream),
        ("retried", 2, retried),
        ("embeddings", 1, embeddings),
        ("async", 2, asynchronous),
        ("message", 1, message),
    ]
    return [(name, 1, requests, truth.input_tokens, truth.output_tokens) for name, requests, truth in told]


@pytest.mark.parametrize("turn", ["first", "second"])
@pytest.mark.parametrize("other", MODULES)
def test_each_call_counts_once(provider: Provider, up: Up, other: str, turn: str) -> None:
    if importlib.util.find_spec(MODULES[other]) is None:
        pytest.skip(f"{other} is not installed here")
    url = provider.scenario(*FAULTS, end="")
    run_program(SUPPORT / "two_tracers.py", other, turn, url, OTEL_EXPORTER_OTLP_ENDPOINT=up.url)
    up.settle()
    seen = up.rows(f"SELECT count() AS n FROM otel_traces WHERE startsWith(ScopeName, '{MODULES[other]}')")
    assert int(seen[0]["n"]), "the other tracer saw nothing"
    rows = up.rows(
        "SELECT splitByChar(' ', action_name)[-1] AS name, model_calls, requests, input_tokens, "
        "coalesce(output_tokens, 0) AS output FROM actions "
        f"WHERE startsWith(action_name, '{other} {turn} ') ORDER BY started_at"
    )
    assert [tuple(row.values()) for row in rows] == expected(provider.truth(url, expect=8))
