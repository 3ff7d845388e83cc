"""A process that is killed, with nothing after it: `fanlight up` puts what it left into the figures."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mock_provider import Fault, Provider, running_provider
from process_trees import ASK_SDK, let_run
from running import POLL_S, SPOOL, Up, running_up

PROGRAM = """
import signal, threading, time, fanlight
fanlight.instrument()
with fanlight.action("answer", user="u-42", session="s-1"), fanlight.agent("planner"):
    with fanlight.tool("search"): pass
    ask()
    ask()
    threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGKILL)).start()
    ask()
"""
ACTION = """SELECT action_name, action_source, user_id, session_id, model_calls, requests,
    requests_observed_share, agent_steps, tool_calls, depth, errors, input_tokens, output_tokens, spans,
    orphans, has_root
FROM actions"""
CALLS = """SELECT requests, requests_source, is_error, error_type, input_tokens, output_tokens, usage_source,
    agent_name
FROM model_calls ORDER BY started_at"""


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


def wait_for_spans(up: Up, count: int, timeout_s: float = 60) -> None:
    """Until it says that they are stored: in otel_traces they are seen a moment before what hangs on it."""
    deadline = time.monotonic() + timeout_s
    while f"stored {count} spans of" not in up.log.read_text():
        assert time.monotonic() < deadline, up.log.read_text()
        time.sleep(POLL_S)
    assert up.rows("SELECT count() AS spans FROM otel_traces") == [{"spans": count}]
    up.settle()


@pytest.mark.parametrize("before", [True, False], ids=["up is away, and starts later", "up runs"])
def test_a_killed_process_is_in_the_figures_without_another_one(
    provider: Provider, tmp_path: Path, before: bool
) -> None:
    url = provider.scenario(Fault(), Fault(), Fault(delay_s=3))
    store = f"chdb://{tmp_path}/data"
    with running_up(store, tmp_path) as up:
        if before:
            assert up.stop() == 0
        done = let_run(
            PROGRAM,
            tmp_path,
            ask=ASK_SDK,
            BASE_URL=url,
            FANLIGHT_SPOOL_DIR=str(SPOOL),
            OTEL_EXPORTER_OTLP_ENDPOINT=up.url,
            OTEL_BSP_SCHEDULE_DELAY="60000",
        )
        assert done.returncode == -signal.SIGKILL
        port = int(up.url.rpartition(":")[2])
        if before:
            with running_up(store, tmp_path, port=port) as later:
                check_figures(later, provider, url)
        else:
            check_figures(up, provider, url)


def check_figures(up: Up, provider: Provider, url: str) -> None:
    wait_for_spans(up, 6)
    truth = provider.truth(url, expect=3)
    answered = [asked for asked in truth if asked.answered]
    estimate = round(truth[2].body_bytes / 4)
    assert len(answered) == 2  # nobody was there to read the last one
    (action,) = up.rows(ACTION)
    assert action == {
        "action_name": "answer",
        "action_source": "declared",
        "user_id": "u-42",
        "session_id": "s-1",
        "model_calls": 3,
        "requests": 3,
        "requests_observed_share": 1,
        "agent_steps": 1,
        "tool_calls": 1,
        "depth": 2,
        "errors": 1,
        "input_tokens": sum(asked.input_tokens for asked in truth[:2]) + estimate,
        "output_tokens": sum(asked.output_tokens for asked in truth[:2]),
        "spans": 6,
        "orphans": 0,
        "has_root": True,
    }
    whole = {"requests": 1, "requests_source": "observed", "agent_name": "planner"}
    ok = {**whole, "is_error": False, "error_type": "", "usage_source": "reported"}
    assert up.rows(CALLS) == [
        {**ok, "input_tokens": truth[0].input_tokens, "output_tokens": truth[0].output_tokens},
        {**ok, "input_tokens": truth[1].input_tokens, "output_tokens": truth[1].output_tokens},
        {
            **whole,
            "is_error": True,
            "error_type": "process_died",
            "usage_source": "estimated",
            "input_tokens": estimate,
            "output_tokens": None,
        },
    ]
    # The root never ended: what is known is how long its spans took, from the first start to the last end.
    spans = "dateDiff('ns', min(Timestamp), max(addNanoseconds(Timestamp, Duration))) / 1e9"
    (known,) = up.rows(f"SELECT any(duration_s) - (SELECT {spans} FROM otel_traces) AS apart FROM actions")
    assert abs(known["apart"]) < 1e-6
    assert up.rows("SELECT count() AS n FROM actions WHERE duration_s > 0") == [{"n": 1}]
    assert "stored 6 spans of 1 processes" in up.log.read_text()
    assert os.listdir(SPOOL) == []
