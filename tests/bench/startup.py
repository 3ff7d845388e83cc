"""What a tracer costs before the first call: time to import and switch on, memory, further distributions.

    python tests/bench/startup.py [--json PATH] [--rounds 9] [--python .venv-peers/bin/python]

Each round starts one fresh process of each tracer: it imports openai, makes a client, switches the tracer on
and makes one call over a transport in memory. Figures are medians over rounds, less the bare SDK's of the
same round.
"""

import argparse
import json
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import report
import tracers
from overhead import HERE, environment, provider

ONE_CALL = """
import resource, sys, time
sys.path.insert(0, sys.argv[1])
started = time.perf_counter()
import openai, overhead_worker, tracers
ready = time.perf_counter()
action = tracers.SWITCH_ON[sys.argv[2]](sys.argv[3])
client = overhead_worker.sync_client("memory", sys.argv[3] + "/v1")
with action():
    overhead_worker.SYNC["sync"](client, "short")
ended = time.perf_counter()
print(ended - ready, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
CLOSURE = """
import json, re, sys
from importlib.metadata import PackageNotFoundError, requires
found, waiting = set(), list(json.loads(sys.argv[1]))
while waiting:
    name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
    if name in found:
        continue
    try:
        needed = requires(name) or []
    except PackageNotFoundError:
        continue
    found.add(name)
    waiting += [re.match(r"[A-Za-z0-9._-]+", line)[0] for line in needed if "extra ==" not in line]
print(json.dumps(sorted(found)))
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One tracer, less the bare SDK: seconds, MB of the largest resident set, distributions it brings."""

    tracer: str
    seconds: float
    rss_mb: float
    distributions: int | None


def distributions(python: str, names: tuple[str, ...]) -> set[str]:
    """What is installed for these names, as their metadata asks for it."""
    answer = subprocess.run(
        [python, "-c", CLOSURE, json.dumps(names)], capture_output=True, text=True, check=True
    )
    return set(json.loads(answer.stdout))


def fanlight_needs() -> tuple[str, ...]:
    """What this checkout's pyproject.toml depends on: it is not installed where the peers are."""
    text = (HERE.parents[1] / "pyproject.toml").read_text()
    block = text.partition("\ndependencies = [")[2].partition("]")[0]
    return tuple(re.findall(r'"([A-Za-z0-9._-]+)', block))


def once(python: str, tracer: str, server: str) -> tuple[float, float]:
    answer = subprocess.run(
        [python, "-c", ONE_CALL, str(HERE), tracer, server],
        capture_output=True, text=True, check=True, env=environment(),
    )  # fmt: skip
    seconds, kilobytes = answer.stdout.split()
    return float(seconds), float(kilobytes) / 1024


def run(python: str, rounds: int) -> list[Row]:
    names = ["bare", *tracers.installed(python)]
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    with provider(sys.executable) as server:
        for number in range(rounds + 1):
            for name in names:
                measured = once(python, name, server)
                if number:  # the first round fills the page cache
                    taken[name].append(measured)
    own = distributions(python, ("openai",))
    return [_row(python, name, taken, own) for name in names[1:]]


def _row(python: str, name: str, taken: dict[str, list[tuple[float, float]]], own: set[str]) -> Row:
    pairs = list(zip(taken["bare"], taken[name], strict=True))
    needed = fanlight_needs() if name == "fanlight" else tracers.DISTRIBUTIONS[name]
    return Row(
        tracer=name,
        seconds=median(traced[0] - bare[0] for bare, traced in pairs),
        rss_mb=median(traced[1] - bare[1] for bare, traced in pairs),
        distributions=len(distributions(python, needed) - own) + (name == "fanlight"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of switching a tracer on, against the bare SDK.")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--rounds", type=int, default=9, help="processes of each tracer")
    parser.add_argument("--python", default=sys.executable, help="runs the tracers: the peers have their own")
    options = parser.parse_args()
    rows = run(options.python, options.rounds)
    print(f"Added by switching on and one call, median of {options.rounds} fresh processes of each")
    print(
        report.table(
            ("tracer", "import and set-up s", "resident MB", "further distributions"),
            [(row.tracer, f"{row.seconds:.2f}", f"{row.rss_mb:.0f}", row.distributions) for row in rows],
        )
    )
    report.write(options.json, "startup", [asdict(row) for row in rows])


if __name__ == "__main__":
    main()
