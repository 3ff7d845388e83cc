"""What a command prints: a table for people, JSON (a list of objects) and CSV for machines.

Machine formats are never shortened. A table fits the terminal: numbers are never cut, long texts end in `…`,
and what is too wide for a table is shown as records, one value a line.
"""

import csv
import io
import json
import math
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table as RichTable
from rich.text import Text

Format: TypeAlias = Literal["table", "json", "csv"]
Value: TypeAlias = object  # what JSON holds: None, bool, int, float, str, list, dict

PIPED_WIDTH = 200  # columns of a table that goes into a file or a pipe
MIN_TEXT_WIDTH = 8  # a text column that gets less is not readable; records are
UNKNOWN = "-"
GAP = 2  # columns between two columns of a table


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result: its name and its ClickHouse type."""

    name: str
    type: str

    @property
    def numeric(self) -> bool:
        inner = self.type.removeprefix("LowCardinality(").removeprefix("Nullable(")
        return inner.startswith(("Int", "UInt", "Float", "Decimal"))


@dataclass(frozen=True, slots=True)
class Rows:
    """A result: columns and rows of JSON values."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Value]]

    def objects(self) -> list[dict[str, Value]]:
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class Cells:
    """A table ready to print: headings, which of them are numbers, and texts."""

    headings: Sequence[str]
    numeric: Sequence[bool]
    rows: Sequence[Sequence[str]]


def parse_rows(data: bytes) -> Rows:
    """The rows of ClickHouse's JSONCompact format, quoted numbers as numbers."""
    document = json.loads(data)
    columns = [Column(entry["name"], entry["type"]) for entry in document["meta"]]
    numeric = [column.numeric for column in columns]
    rows = [
        [
            _number(v) if is_number and isinstance(v, str) else v
            for v, is_number in zip(row, numeric, strict=True)
        ]
        for row in document["data"]
    ]
    return Rows(columns, rows)


def _number(text: str) -> int | float | None:
    """A number that ClickHouse put in quotes; NaN and infinities, which JSON does not have, are None."""
    if text.lstrip("-").isdigit():
        return int(text)
    value = float(text)
    return value if math.isfinite(value) else None


def terminal(stderr: bool = False) -> Console:
    """The console to print to; a pipe gets PIPED_WIDTH columns unless COLUMNS says otherwise."""
    console = Console(stderr=stderr, highlight=False, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in console._environ:
        console.width = PIPED_WIDTH
    return console


def busy(doing: str) -> AbstractContextManager[object]:
    """Shows on a terminal that something takes a while; a pipe sees nothing of it."""
    return terminal(stderr=True).status(doing)


def progress_bar(console: Console, amount: ProgressColumn) -> Progress:
    """A bar with the elapsed time that goes when it is done; nothing at all in a pipe."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), amount, TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def write_json(rows: Rows) -> None:
    """One object a line, in a list."""
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows.objects())
    write_text(f"[{lines}]\n")


def write_csv(rows: Rows) -> None:
    """CSV (RFC 4180) with a header; NULL is an empty field."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([column.name for column in rows.columns])
    writer.writerows([["" if v is None else v for v in row] for row in rows.rows])
    write_text(buffer.getvalue())


def write_text(text: str) -> None:
    """Text to stdout as UTF-8, whatever the terminal's encoding."""
    write_bytes(text.encode())


def write_bytes(data: bytes) -> None:
    """Bytes to stdout."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def show_cells(console: Console, cells: Cells, title: str | None = None) -> None:
    """A table, or records where a table does not fit."""
    if title:
        console.print(Text(title, style="bold"))
    if fits(console.width, cells):
        console.print(_table(console.width, cells))
    else:
        _show_records(console, cells)


def show_rows(console: Console, rows: Rows) -> None:
    """Any result as a table."""
    numeric = [column.numeric for column in rows.columns]
    texts = [[show_value(value) for value in row] for row in rows.rows]
    show_cells(console, Cells([column.name for column in rows.columns], numeric, texts))
    count = len(rows.rows)
    console.print(Text(f"{count:,} {'row' if count == 1 else 'rows'}", style="dim"))


def show_value(value: Value) -> str:
    """A value as text for one table cell; NULL is `-`, control characters are shown, not obeyed."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.7g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def fits(width: int, cells: Cells) -> bool:
    """Whether a table of these cells can be shown in so many columns without cutting a number."""
    return sum(_least_widths(cells)) + GAP * (len(cells.headings) - 1) <= width


def _natural_widths(cells: Cells) -> list[int]:
    columns = range(len(cells.headings))
    headings = [max(map(cell_len, heading.split("\n"))) for heading in cells.headings]
    return [max([headings[i], *(cell_len(row[i]) for row in cells.rows)]) for i in columns]


def _least_widths(cells: Cells) -> list[int]:
    return [
        width if numeric else min(width, max(MIN_TEXT_WIDTH, cell_len(heading)))
        for width, numeric, heading in zip(_natural_widths(cells), cells.numeric, cells.headings, strict=True)
    ]


def _widths(width: int, cells: Cells) -> list[int]:
    """Columns as wide as they want to be; where that is too much, the widest texts give way first."""
    widths, least = _natural_widths(cells), _least_widths(cells)
    while sum(widths) + GAP * (len(widths) - 1) > width:
        room = [have - need for have, need in zip(widths, least, strict=True)]
        widest = max((i for i in range(len(widths)) if room[i] > 0), key=lambda i: widths[i])
        widths[widest] -= 1
    return widths


def _table(width: int, cells: Cells) -> RichTable:
    table = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
    widths = _widths(width, cells)
    for heading, numeric, wide in zip(cells.headings, cells.numeric, widths, strict=True):
        justify: Literal["left", "right"] = "right" if numeric else "left"
        table.add_column(Text(heading, style="bold"), justify=justify, width=wide, no_wrap=True)
    for row in cells.rows:
        texts = [Text(text, style="dim" if text in (UNKNOWN, "unknown") else "") for text in row]
        for text, wide in zip(texts, widths, strict=True):
            text.truncate(wide, overflow="ellipsis")
        table.add_row(*texts)
    return table


def _show_records(console: Console, cells: Cells) -> None:
    headings = [heading.replace("\n", " ") for heading in cells.headings]
    indent = max(map(len, headings))
    for number, row in enumerate(cells.rows, 1):
        console.print(Text(f"row {number}", style="bold"))
        for heading, text in zip(headings, row, strict=True):
            line = Text(f"  {heading.rjust(indent)}  ", style="dim").append(Text(text, style="not dim"))
            console.print(line, overflow="fold")
