"""`fanlight stats`: the fan-out of user actions and the GPU-seconds that they demand."""

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeAlias

import typer
from rich.console import Console
from rich.text import Text

from fanlight_collectors.cli.counting import uncounted_line, wait_until_counted
from fanlight_collectors.cli.errors import unusable
from fanlight_collectors.cli.figures import UNKNOWN, bounded, count, counted, duration, figure
from fanlight_collectors.cli.output import (
    Cells,
    Format,
    Rows,
    busy,
    fits,
    show_cells,
    show_value,
    terminal,
    write_csv,
    write_json,
)
from fanlight_collectors.cli.stats_sql import (
    PER_ACTION,
    REFERENCE,
    Dimension,
    Scope,
    Unit,
    excluded_sql,
    factor_sql,
    grouped_sql,
    headline_sql,
    unpriced_sql,
)
from fanlight_collectors.cli.target import Reader, StoreOption, open_reader, read_rows

OriginChoice: TypeAlias = Literal["user", "schedule", "agent", "system", "all"]
WorkloadChoice: TypeAlias = Literal["serving", "rl_rollout", "eval", "batch", "training", "all"]
Row: TypeAlias = Mapping[str, object]
HEADINGS = {"hour": "hour (UTC)"}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
HOW_TO_MAKE_SOME = "`fanlight run -- python my_agent.py` traces a program of yours, `fanlight demo` shows one"
MODELS_NAMED = 3  # of those without a price
READINGS = 5  # until headline and table are of one moment: a refresh every two seconds may come between them


@dataclass(frozen=True, slots=True)
class Reading:
    """Headline and table of one moment, the actions of whatever origin and workload, the traces to come."""

    headline: Row
    rows: Rows
    everything: int
    uncounted: int
    unpriced: str
    unit: Unit


def stats(
    by: Annotated[
        Dimension,
        typer.Option(
            "--by", metavar="WHAT", help="One row for each action name, user, model, agent, hour or region."
        ),
    ] = "action",
    since: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="Only actions begun in the last 30m, 24h, 7d, 4w (default: all)."),
    ] = None,
    origin: Annotated[
        OriginChoice,
        typer.Option(
            metavar="ORIGIN", help="What set the actions off: user, schedule, agent, system or all."
        ),
    ] = "user",
    workload: Annotated[
        WorkloadChoice,
        typer.Option(metavar="KIND", help="serving, rl_rollout, eval, batch, training or all."),
    ] = "serving",
    reference_gpu: Annotated[
        str,
        typer.Option(metavar="NAME", help="GPU whose seconds the figures are in, for example GB200."),
    ] = REFERENCE.gpu,
    output_format: Annotated[
        Format, typer.Option("--format", "-f", metavar="FORMAT", help="table, json or csv.")
    ] = "table",
    show_sql: Annotated[
        bool, typer.Option("--show-sql", help="Print the SQL that gives these figures.")
    ] = False,
    store: StoreOption = None,
) -> None:
    """Show fan-out (requests per user action) and GPU-seconds.

    A call outside any action counts as an action of its own. Percentiles are nearest rank over actions.
    GPU-seconds come with their bounds and the method that gave
    them; what cannot be priced is counted beside them, never as 0. A share of one GPU is that of the time
    of --since, else from the first action's start to the last one's end.

    Examples:
      fanlight stats
      fanlight stats --by user --since 7d
      fanlight stats --by model --format json
      fanlight stats --by user --reference-gpu GB200
    """
    age_s = None if since is None else parse_age(since)
    scope = Scope(age_s, None if origin == "all" else origin, None if workload == "all" else workload)
    with busy("reading"), closing(open_reader(store)) as reader:
        reading = read_figures(reader, by, scope, find_unit(reader, reference_gpu))
    if output_format == "table":
        _show(reading, by, scope, show_sql)
        return
    (write_json if output_format == "json" else write_csv)(reading.rows)
    if reading.uncounted:
        terminal(stderr=True).print(Text(uncounted_line(reading.uncounted), style="dim"))


def parse_age(text: str) -> int:
    """Seconds of an age such as 90s, 30m, 24h, 7d, 4w; CommandError for anything else.

    >>> parse_age("7d")
    604800
    """
    match = re.fullmatch(r"(\d+)([smhdw])", text.strip())
    if match is None or int(match.group(1)) == 0:
        raise unusable(f'--since is "{text}"; give a number and a unit, for example 30m, 24h, 7d or 4w')
    return int(match.group(1)) * SECONDS[match.group(2)]


def find_unit(reader: Reader, gpu: str) -> Unit:
    """The one GPU of the rate cards of that name, else the one whose name begins so, else has it in it."""
    if gpu == REFERENCE.gpu:
        return REFERENCE
    found = {str(row[0]): row[1] for row in read_rows(reader, factor_sql(gpu)).rows}
    exact = [name for name in found if name.casefold() == gpu.casefold()]
    names = exact or [name for name in found if name.casefold().startswith(gpu.casefold())] or list(found)
    if len(names) != 1:
        known = ", ".join(names or [str(row[0]) for row in read_rows(reader, factor_sql("")).rows])
        what = f"may be {known}" if names else f"has no rate card; there are {known or 'none'}"
        raise unusable(f'--reference-gpu "{gpu}" {what}; give one of them')
    return Unit(names[0], float(str(found[names[0]])))


def read_figures(reader: Reader, by: Dimension, scope: Scope, unit: Unit = REFERENCE) -> Reading:
    """The figures, after what is in the store has been counted; headline and table agree."""
    waiting = wait_until_counted(reader)
    left = READINGS
    while True:
        headline = read_rows(reader, headline_sql(scope, unit)).objects()[0]
        unit = replace(unit, window_s=_seconds(headline.get("window_s")))
        rows = read_rows(reader, grouped_sql(by, scope, unit))
        left -= 1
        if left == 0 or agree(headline, rows, by):
            break
    everything = _number(read_rows(reader, excluded_sql(scope)).rows[0][0])
    return Reading(headline, rows, everything, waiting, why_unpriced(reader, headline, scope), unit)


def why_unpriced(reader: Reader, headline: Row, scope: Scope) -> str:
    """Why requests are in no GPU-second figure, in one line; empty where all are."""
    if not headline["requests_unpriced"]:
        return ""
    models = read_rows(reader, unpriced_sql(scope)).objects()
    reasons = (
        ("no rate card (size not published, or not in the catalogue)", 0),
        ("tokens unknown", 1),
    )
    listed = (
        (reason, [_name(one["model"], "model") for one in models if _number(one["has_rates"]) == has_rates])
        for reason, has_rates in reasons
    )
    return "; ".join(f"{_some(names)}: {reason}" for reason, names in listed if names)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MODELS_NAMED} more" if len(names) > MODELS_NAMED else ""
    return ", ".join(names[:MODELS_NAMED]) + more


def agree(headline: Row, rows: Rows, by: Dimension) -> bool:
    """Whether the rows of a table add up to its headline."""
    names = ("actions", "requests") if by in PER_ACTION else ("requests",)
    return all(_number(headline[name]) == sum(_number(row[name]) for row in rows.objects()) for name in names)


def _show(reading: Reading, by: Dimension, scope: Scope, with_sql: bool) -> None:
    console = terminal()
    if reading.everything:
        _show_figures(console, reading, by, scope)
    else:
        nothing = "no actions" + (" in that time" if scope.since_s else f" yet; {HOW_TO_MAKE_SOME}")
        console.print("no actions counted yet" if reading.uncounted else nothing)
    if reading.uncounted:
        console.print(Text(uncounted_line(reading.uncounted), style="dim"))
    if not reading.everything:
        return
    if with_sql:
        show_sql_text(console, grouped_sql(by, scope, reading.unit))
    else:
        console.print(Text("the SQL behind the table: --show-sql", style="dim"))


def _show_figures(console: Console, reading: Reading, by: Dimension, scope: Scope) -> None:
    if reading.headline["actions"]:
        show_headline(console, reading.headline, scope, reading.unpriced, reading.unit)
        console.print()
        show_groups(console, reading.rows, by, reading.unit)
        console.print()
    else:
        limits = (("origin", scope.origin), ("workload", scope.workload))
        console.print(f"no actions of {' and '.join(f'{name} {value}' for name, value in limits if value)}")
    left_out = reading.everything - _number(reading.headline["actions"])
    if left_out > 0:
        options = ["--origin all"] * bool(scope.origin) + ["--workload all"] * bool(scope.workload)
        text = f"not in these figures: {count(left_out)} more of other origins or workloads"
        console.print(Text(f"{text} ({' '.join(options)})", style="dim"))


def show_headline(
    console: Console, row: Row, scope: Scope, unpriced: str = "", unit: Unit = REFERENCE
) -> None:
    """Fan-out and GPU-seconds of everything in scope."""
    what = f"{scope.origin} action" if scope.origin else "action"
    line = Text("Fan-out ").append(figure(row["fanout_mean"]), style="bold green")
    console.print(line.append(f" requests per {what}", style="bold"))
    console.print(
        f"  {counted(row['actions'], 'action')}, {counted(row['calls'], 'call')}, "
        f"{counted(row['requests'], 'request')}"
    )
    if lone := _number(row["lone_calls"]):
        what = "1 action is a single call" if lone == 1 else f"{count(lone)} actions are single calls"
        aside = f"  {what} outside any fanlight.action(); each counts as an action of its own"
        console.print(Text(aside, style="dim"), soft_wrap=True)
    shares = "   ".join(f"{name} {count(row[f'fanout_{name}'])}" for name in ("p50", "p90", "p99", "max"))
    console.print(f"  {shares}   {_amplification(row)} requests per call")
    console.print()
    line = Text("GPU-seconds ").append(_gpu(row), style="bold green")
    console.print(line.append(f", {row['gpu_method']}" if row["gpu_seconds"] is not None else ""))
    left_out = f"{count(row['requests_unpriced'])} of {counted(row['requests'], 'request')} unpriced"
    console.print(f"  in seconds of one {unit.gpu}; {left_out}")
    if row["reference_gpus"] is not None:
        share = bounded(row["reference_gpus"], row["reference_gpus_low"], row["reference_gpus_high"])
        console.print(f"  {share} of one {unit.gpu} kept busy over {duration(row['window_s'])}")
    if unpriced:
        console.print(Text(f"  unpriced: {unpriced}", style="dim"))


def show_groups(console: Console, rows: Rows, by: Dimension, unit: Unit = REFERENCE) -> None:
    """The table by the dimension: one where it fits, else fan-out and GPU-seconds below each other."""
    name = rows.columns[0].name
    objects = rows.objects()
    key = Cells([HEADINGS.get(name, name)], [False], [[_name(row[name], by)] for row in objects])
    work = _fanout_cells(objects) if by in PER_ACTION else _call_cells(objects)
    shares = [_share_cells(objects, unit)] if unit.window_s else []
    table = _beside(key, work)
    for cells in [_gpu_cells(objects), *shares]:
        wider = _beside(table, cells)
        if not fits(console.width, wider):
            show_cells(console, table)
            console.print()
            wider = _beside(key, cells)
        table = wider
    show_cells(console, table)
    estimated = sum(_number(row.get("calls_estimated")) for row in objects)
    if estimated:
        calls = sum(_number(row["calls"]) for row in objects)
        line = f"the tokens of {count(estimated)} of {counted(calls, 'call')} are estimated"
        console.print(Text(line, style="dim"))


def show_sql_text(console: Console, statement: str) -> None:
    """A statement, dim, ready to be copied."""
    console.print(Text(statement, style="dim"), soft_wrap=True)


def _fanout_cells(rows: list[dict[str, object]]) -> Cells:
    headings = ["actions", "requests", "fan-out\n(mean)", "p50", "p90", "p99", "max", "requests\nper call"]
    texts = [
        [
            count(row["actions"]),
            count(row["requests"]),
            figure(row["fanout_mean"]),
            *(count(row[f"fanout_{name}"]) for name in ("p50", "p90", "p99", "max")),
            _amplification(row),
        ]
        for row in rows
    ]
    return Cells(headings, [True] * len(headings), texts)


def _call_cells(rows: list[dict[str, object]]) -> Cells:
    names = ["actions", "calls", "requests", "input_tokens", "cached_tokens", "output_tokens"]
    headings = [name.replace("_", "\n") for name in names]
    return Cells(headings, [True] * len(names), [[count(row[name]) for name in names] for row in rows])


def _gpu_cells(rows: list[dict[str, object]]) -> Cells:
    headings = ["GPU-seconds\n(low to high)", "method", "unpriced\nrequests"]
    texts = [
        [
            _gpu(row),
            str(row["gpu_method"]) if row["gpu_seconds"] is not None else UNKNOWN,
            count(row["requests_unpriced"]),
        ]
        for row in rows
    ]
    return Cells(headings, [True, False, True], texts)


def _share_cells(rows: list[dict[str, object]], unit: Unit) -> Cells:
    names = ("reference_gpus", "reference_gpus_low", "reference_gpus_high")
    texts = [[bounded(*(row[name] for name in names))] for row in rows]
    return Cells([f"share of one {unit.gpu}\n(low to high)"], [True], texts)


def _beside(left: Cells, right: Cells) -> Cells:
    rows = [[*a, *b] for a, b in zip(left.rows, right.rows, strict=True)]
    return Cells([*left.headings, *right.headings], [*left.numeric, *right.numeric], rows)


def _gpu(row: Row) -> str:
    return bounded(row["gpu_seconds"], row["gpu_seconds_low"], row["gpu_seconds_high"])


def _amplification(row: Row) -> str:
    return figure(row["amplification"]) if row["amplification"] is not None else UNKNOWN


def _name(value: object, by: Dimension) -> str:
    if value == "" and by == "agent":
        return "no agent"
    return show_value(value) if value not in (None, "") else UNKNOWN


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
