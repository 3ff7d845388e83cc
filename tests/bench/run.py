"""All measurements, one after the other: what a call costs, spans into the store, time of each view.

    python tests/bench/run.py [--json FOLDER] [overhead|startup|ingest|views ...]

Needs a quiet machine. Every table carries its own noise; compare ratios, not other machines' milliseconds.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import report

HERE = Path(__file__).resolve().parent
BENCHES = ("overhead", "startup", "ingest", "views")
PEERS = HERE.parents[1] / ".venv-peers/bin/python"  # `make bench` builds it
BESIDE_PEERS = ("overhead", "startup")


def main() -> int:
    parser = argparse.ArgumentParser(description="What fanlight costs, measured on this machine.")
    parser.add_argument("benches", nargs="*", default=BENCHES, help=", ".join(BENCHES))
    parser.add_argument("--json", type=Path, metavar="FOLDER", help="write NAME.json of each bench there")
    options = parser.parse_args()
    if options.json:
        options.json.mkdir(parents=True, exist_ok=True)
    print(report.describe(report.machine()))
    failed = 0
    for name in options.benches:
        started = time.perf_counter()
        print(flush=True)
        output = ["--json", str(options.json / f"{name}.json")] if options.json else []
        if name in BESIDE_PEERS and PEERS.exists():
            output += ["--python", str(PEERS)]
        failed |= subprocess.run([sys.executable, HERE / f"{name}.py", *output], check=False).returncode
        print(f"({name}: {time.perf_counter() - started:.0f} s)", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
