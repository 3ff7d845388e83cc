"""Programs that start others, and what arrived of all of them, as one description.

done = run_program(program, tmp_path, BASE_URL=url)
described_spans(collector.wait_for(5))
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.trace import SpanKind, StatusCode

from fanlight.testing import Captured, EndedSpan
from otlp_receiver import attributes_of
from span_trees import Node, described

MESSAGES = [{"role": "user", "content": "Say something about the window."}]
ASK_SDK = f"""
import os, sys
import openai
def ask(n=0):
    with openai.OpenAI(base_url=os.environ["BASE_URL"], api_key="k") as client:
        return client.chat.completions.create(model="m", messages={MESSAGES}).usage.completion_tokens
"""
ASK = f"""
import os, sys
import httpx
def ask(n=0):
    body = {{"model": "m", "messages": {MESSAGES}}}
    answer = httpx.post(os.environ["BASE_URL"] + "/chat/completions", json=body)
    return answer.json()["usage"]["completion_tokens"]
"""  # the SDK takes ten times as long to import


def run_program(
    body: str, folder: Path, *arguments: str, ask: str = ASK, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program with `ask()` in a file of its own; it must succeed without a word on stderr."""
    done = let_run(body, folder, *arguments, ask=ask, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done


def let_run(
    body: str, folder: Path, *arguments: str, ask: str = ASK, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The same for a program that may end in any way."""
    program = folder / "program.py"
    program.write_text(ask + textwrap.dedent(body))
    inherited = {name: value for name, value in os.environ.items() if name not in ("TRACEPARENT", "BAGGAGE")}
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(program), *arguments],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def next_process(folder: Path, **environment: str) -> None:
    """Run a traced program that makes no call; it delivers what others left in the spool."""
    run_program(
        "with fanlight.tool('next'): pass",
        folder,
        ask="import fanlight\nfanlight.instrument()\n",
        **environment,
    )


def ended(span: Span) -> EndedSpan:
    """A span that came over OTLP, as fanlight.testing has those of its own process."""
    attributes = {
        key: tuple(value) if isinstance(value, list) else value for key, value in attributes_of(span).items()
    }
    return EndedSpan(
        name=span.name,
        kind=SpanKind(span.kind - 1),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex() or None,
        start_time_ns=span.start_time_unix_nano,
        end_time_ns=span.end_time_unix_nano,
        status=(StatusCode.UNSET, StatusCode.OK, StatusCode.ERROR)[span.status.code],
        attributes=attributes,  # type: ignore[arg-type]  # OTLP's values are OpenTelemetry's
    )


def described_spans(spans: Iterable[Span]) -> list[Node]:
    """All that arrived, as trees in the order of their start."""
    captured = Captured()
    captured.spans.extend(map(ended, spans))
    return described(captured)


def each_once(spans: Iterable[Span]) -> list[Span]:
    """Spans without repetitions: a process that dies while it delivers has its spans delivered again."""
    seen: dict[bytes, Span] = {}
    for span in spans:
        assert seen.setdefault(span.span_id, span) == span
    return list(seen.values())


def traces_of_actions(spans: Sequence[Span]) -> set[str]:
    """The traces that there are; in each of them every span names the trace as its action."""
    for span in spans:
        assert attributes_of(span)["fanlight.action.id"] == span.trace_id.hex()
    return {span.trace_id.hex() for span in spans}
