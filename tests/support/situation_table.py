"""Prints the 65 situations row by row: the truth, fanlight's sync and async client, and who else is right.

    python tests/support/situation_table.py      exit code 1 where a row of fanlight's is not right

What other tracers did is read from ../shared/notes/peers.md, where that is present.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from situation_runs import Findings, run_all
from situations import BOTH, SITUATIONS

NOTES = Path(__file__).resolve().parents[3] / "shared" / "notes" / "peers.md"
_ROW = re.compile(r"\| (\w+) \| (\d+\(\d+\) \d+/\d+) \|(.*)\|")


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of the notes: the truth, and what each tracer recorded."""

    truth: str
    cells: Mapping[str, str]  # by tracer

    @property
    def right(self) -> list[str]:
        """Those that saw every request, every token and the right parent, and ended their spans."""
        return [tracer for tracer, cell in self.cells.items() if _is_right(self.truth, cell)]


def measured() -> dict[str, Measured]:
    """All rows by their names; empty where the notes are not present."""
    if not NOTES.exists():
        return {}
    text = NOTES.read_text()
    head = re.search(r"\| scenario \| truth [^|]*\|(.*)\|", text)
    assert head is not None
    tracers = [name.strip() for name in head[1].split("|")]
    return {
        name: Measured(truth, dict(zip(tracers, map(str.strip, cells.split("|")), strict=True)))
        for name, truth, cells in _ROW.findall(text)
    }


def _is_right(truth: str, cell: str) -> bool:
    """By the notes' own key: `N` spans, `in/out`, and marks of what is missing."""
    count, *marks = cell.split()
    requests, tokens = truth.split("(")[0], truth.split()[1]
    told = [mark.replace("-", "0") for mark in marks if "/" in mark]
    wrong = any(mark.startswith(("open", "notok", "P")) for mark in marks)
    return count.partition("+")[0] == requests and (told or ["0/0"]) == [tokens] and not wrong


def table(findings: Findings, notes: Mapping[str, Measured]) -> str:
    """Aligned columns, a line for each situation."""
    lines = [("situation", "requests(answered) in/out", *BOTH, "others that are right")]
    for situation in SITUATIONS:
        marks = [_mark(findings.get((situation.name, kind))) for kind in BOTH]
        others = ", ".join(notes[situation.name].right) or "none" if situation.name in notes else ""
        lines.append((situation.name, situation.truth, *marks, others))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _mark(wrong: list[str] | None) -> str:
    return "-" if wrong is None else "WRONG" if wrong else "right"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        findings = run_all(Path(folder))
    print(table(findings, measured()))
    wrong = {key: lines for key, lines in findings.items() if lines}
    for (name, kind), lines in wrong.items():
        print(f"\n{name}, {kind}:", *lines, sep="\n  ")
    rows = {name for name, _ in wrong}
    print(f"\n{len(SITUATIONS) - len(rows)} of {len(SITUATIONS)} right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
