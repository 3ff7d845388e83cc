"""Lets the programs of all situations run, without fanlight and with it, and says what is wrong.

    findings = run_all(folder)         # {("plain", "sync"): [], ...}: no line is right

Every program is a process of its own, so is the provider, and the spans are those that came over OTLP.
Compared are the provider's tally with the stated truth, the tree of spans with what follows from it, and what
the app saw and the provider was sent (headers, bodies) with a run without fanlight.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from mock_provider import Asked, Provider, running_provider
from otlp_receiver import OtlpReceiver
from process_trees import described_spans, each_once, next_process, traces_of_actions
from running import clean_environment
from situation_asks import wait_for_arrival
from situations import SITUATIONS, Kind, Situation
from span_trees import Node

HERE = Path(__file__).resolve().parent
EXITS = "exit_"
WORKERS = "mp_|ppe_|subprocess_|fork_"
AT_ONCE = 3  # programs
PROGRAM_S = 600  # not a claim: what a busy machine is given
ADOPTED = "execute_tool next"  # by the process that delivers what dead ones left
Findings = dict[tuple[str, Kind], list[str]]


@dataclass
class Run:
    """All situations of one kind of client, with fanlight or without."""

    kind: Kind
    mode: str  # bare or traced
    provider: Provider
    receiver: OtlpReceiver
    folder: Path
    urls: dict[str, str] = field(default_factory=dict)
    saw: dict[str, Any] = field(default_factory=dict)

    def environment(self, part: str) -> dict[str, str]:
        return {
            **clean_environment(),
            "FANLIGHT_SPOOL_DIR": str(self.folder / f"spool-{part}"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.receiver.url,
        }

    def program(self, name: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", str(HERE / f"situation_{name}.py"), *arguments],
            env={**self.environment(name), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def calls(self) -> None:
        """What needs no process of its own."""
        self.many("calls", [name for name in self.urls if not re.match(f"{WORKERS}|{EXITS}", name)])

    def others(self, pool: ThreadPoolExecutor) -> Iterator[Future[None]]:
        """All the rest, each process at some time."""
        yield pool.submit(self.many, "workers", [name for name in self.urls if re.match(WORKERS, name)])
        for name in self.urls:
            if re.match(EXITS, name):
                yield pool.submit(self.ending, name)

    def many(self, program: str, names: Sequence[str]) -> None:
        """Situations that one process goes through."""
        urls = json.dumps({name: self.urls[name] for name in names})
        process = self.program(program, self.kind, self.mode, urls)
        out, told = process.communicate(timeout=PROGRAM_S)
        assert (process.returncode, told) == (0, ""), f"{self.kind} {self.mode}: {told}"
        self.saw.update(json.loads(out))

    def ending(self, name: str) -> None:
        """A situation of a process's end; what is seen of it is how it ended and what it wrote."""
        process = self.program("exits", name, self.kind, self.mode, BASE_URL=self.urls[name])
        if name == "exit_sigterm_midcall":
            wait_for_arrival(self.urls[name])
            process.terminate()
        out, told = process.communicate(timeout=PROGRAM_S)
        self.saw[name] = [process.returncode, out, told]

    def asked(self, situation: Situation) -> list[Asked]:
        return self.provider.truth(self.urls[situation.name], expect=len(situation.answers))

    def left_behind(self) -> list[str]:
        return [path.name for path in self.folder.glob("spool-*/*")]


def run_all(folder: Path) -> Findings:
    """What is wrong with each situation and kind of client; an empty list says that all of it is right."""
    chosen = {kind: [one for one in SITUATIONS if kind in one.kinds] for kind in ("sync", "async")}
    with ExitStack() as stack:
        runs = [
            stack.enter_context(_running(kind, mode, chosen[kind], folder / f"{kind}-{mode}"))
            for kind in chosen
            for mode in ("bare", "traced")
        ]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            # Apart, since a provider numbers its answers, and the app sees the numbers.
            list(pool.map(lambda run: run.calls(), runs))
            for job in [job for run in runs for job in run.others(pool)]:
                job.result()
        findings: Findings = {}
        for bare, traced in zip(runs[::2], runs[1::2], strict=True):
            next_process(traced.folder, **traced.environment("exits"))
            findings |= _judged(bare, traced, chosen[bare.kind])
        return findings


@contextmanager
def _running(kind: Kind, mode: str, situations: Sequence[Situation], folder: Path) -> Iterator[Run]:
    folder.mkdir(parents=True)
    with running_provider() as provider, OtlpReceiver() as receiver:
        run = Run(kind, mode, provider, receiver, folder)
        for situation in situations:
            run.urls[situation.name] = provider.scenario(*situation.faults)
        yield run


def _judged(bare: Run, traced: Run, situations: Sequence[Situation]) -> Findings:
    spans = each_once(traced.receiver.spans)
    traces_of_actions(spans)
    roots = described_spans(spans)
    names = {situation.name for situation in situations}
    actions = {span.trace_id: span.name for span in spans if not span.parent_span_id}
    lasted_s = {actions[span.trace_id]: _seconds(span) for span in spans if span.name == "chat m"}
    strays = [root for root in roots if root.name not in {*names, ADOPTED}]
    findings: Findings = {}
    for situation in situations:
        found = [root for root in roots if root.name == situation.name]
        lines = [*_told(situation, found, traced), *_untouched(situation, bare, traced)]
        if lasted_s.get(situation.name, 0.0) < situation.at_least_s:
            lines.append(f"its call lasted {lasted_s} s")
        findings[situation.name, traced.kind] = lines
    if strays or traced.left_behind():
        findings[situations[0].name, traced.kind].append(f"left over: {strays} {traced.left_behind()}")
    return findings


def _seconds(span: Span) -> float:
    return (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9


def _told(situation: Situation, found: list[Node], run: Run) -> Iterator[str]:
    """What differs between the stated truth, the provider's tally and the tree."""
    asked = run.asked(situation)
    tally = sorted(one.status or 0 for one in asked)
    if tally != sorted(status or 0 for status in situation.answers):
        yield f"the provider saw {tally}"
    tokens = tuple(map(sum, zip(*((one.input_tokens, one.output_tokens) for one in asked), strict=True)))
    if tokens != situation.tokens:
        yield f"the provider counted {tokens}"
    elif found != [situation.tree(asked, run.urls[situation.name])]:
        yield f"told  {found}\n  truth {situation.tree(asked, run.urls[situation.name])}"


def _untouched(situation: Situation, bare: Run, traced: Run) -> Iterator[str]:
    """What the app, or the provider, would see of fanlight."""
    name = situation.name
    saw, saw_bare = (_without_places(run.saw[name], run.provider.port) for run in (traced, bare))
    if name.startswith("ctx_"):  # several at once: they come in any order
        saw, saw_bare = sorted(saw, key=repr), sorted(saw_bare, key=repr)
    if saw != saw_bare:
        yield f"the app saw {saw}, not {saw_bare}"
    sent, sent_bare = (sorted(map(_sent, run.asked(situation))) for run in (traced, bare))
    if sent != sent_bare:
        yield f"the provider was sent {sent}, not {sent_bare}"


def _without_places(saw: Any, port: int) -> Any:
    """Each run has a port of its own, and anyio tells where its objects lie."""
    text = json.dumps(saw).replace(f"127.0.0.1:{port}", "provider")
    return json.loads(re.sub(r"cancel scope [0-9a-f]+", "cancel scope", text))


def _sent(asked: Asked) -> tuple[str, str, list[tuple[str, str]]]:
    headers = sorted(
        (key, value) for key, value in asked.headers.items() if key != "host"
    )  # a port of its own
    return asked.path, asked.body_digest, headers
