"""Draws every panel of deploy/grafana's dashboards to a picture, with what a store really answers.

    python tests/support/draw_dashboards.py --store URL --out docs/dashboards [--hours 24] [NAME...]

So a person sees whether a panel tells what it should, without a Grafana. It is no copy of Grafana: kind
of panel, place, unit and legend are the dashboard's, colours and fonts are not. Without --store one is
made with the spans of `make bench-scale`, 300,000 of them.
"""

import argparse
import datetime
import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.dates
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

import grafana
from fanlight_schema import migrate, refresh
from fanlight_schema.store import Store, open_store

INCHES = (0.75, 0.34)  # of one column and one row of Grafana's grid
MOST_ROWS, MOST_CHARS = 12, 22
UNITS = {"s": " s", "percentunit": "%", "short": ""}
Rows = list[dict[str, Any]]


@contextmanager
def example_store() -> Iterator[Store]:
    """A store with made-up actions of heavy-tailed size, two days of them."""
    import sys

    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
    import scale_spans

    with tempfile.TemporaryDirectory() as folder, open_store(f"chdb://{folder}/store") as store:
        migrate.apply(store)
        count = scale_spans.actions_of(300_000)
        store.command(scale_spans.insert(actions=count, first=0, count=count))
        refresh.settle(store, timeout_s=600)
        refresh.settle_shapes(store, timeout_s=600)
        yield store


def shown(value: Any, unit: str) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = value.strftime("%m-%d %H:%M:%S") if isinstance(value, datetime.datetime) else str(value)
        return text if len(text) <= MOST_CHARS else text[: MOST_CHARS - 2] + ".."
    if unit == "percentunit":
        return f"{100 * value:.3g}%"
    text = f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"
    return text + UNITS.get(unit, "")


def unit_of(panel: dict[str, Any], column: str) -> str:
    config = panel["fieldConfig"]
    for override in config.get("overrides", []):
        if override["matcher"]["options"] == column:
            for option in override["properties"]:
                if option["id"] == "unit":
                    return str(option["value"])
    return str(config["defaults"].get("unit", "short"))


def draw_number(axes: Axes, panel: dict[str, Any], rows: Rows) -> None:
    axes.axis("off")
    values = rows[0] if rows else {}
    for place, (name, value) in enumerate(values.items()):
        x = (place + 0.5) / len(values)
        axes.text(
            x, 0.5, shown(value, unit_of(panel, name)), ha="center", va="center", size=15, weight="bold"
        )
        axes.text(x, 0.1, name, ha="center", va="center", size=8, color="0.4")


def draw_series(axes: Axes, panel: dict[str, Any], rows: Rows) -> None:
    lines: dict[str, dict[Any, float]] = {}
    for row in rows:
        label = " ".join(
            str(value) for name, value in row.items() if name != "time" and isinstance(value, str)
        )
        numbers = {
            name: value for name, value in row.items() if name != "time" and not isinstance(value, str)
        }
        for name, value in numbers.items():
            if value is not None:
                lines.setdefault(label or name, {})[row["time"]] = float(value)
    custom = panel["fieldConfig"]["defaults"].get("custom", {})
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    bounds = {override["matcher"]["options"] for override in panel["fieldConfig"].get("overrides", [])}
    below: dict[Any, float] = {}
    times = sorted({time for line in lines.values() for time in line})
    width = min(((b - a).total_seconds() for a, b in itertools.pairwise(times)), default=3600) / 86400
    for name, line in lines.items():
        if stacked:
            base = [below.get(time, 0.0) for time in line]
            axes.bar(list(line), list(line.values()), width=width * 0.9, bottom=base, label=name)
            below |= {time: below.get(time, 0.0) + value for time, value in line.items()}
        else:
            axes.plot(
                list(line),
                list(line.values()),
                "--" if name in bounds else "-",
                lw=1,
                label=name,
                marker=".",
                ms=2,
            )
    axes.xaxis.set_major_formatter(matplotlib.dates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
    _finish(axes, panel)


def draw_bars(axes: Axes, panel: dict[str, Any], rows: Rows) -> None:
    x = panel["options"]["xField"]
    labels = [str(row[x]) for row in rows]
    columns = [name for name in rows[0] if name != x] if rows else []
    stacked = panel["options"].get("stacking") == "normal"
    base = [0.0] * len(rows)
    for place, name in enumerate(columns):
        heights = [float(row[name] or 0) for row in rows]
        if stacked:
            axes.bar(range(len(rows)), heights, bottom=base, label=name)
            base = [a + b for a, b in zip(base, heights, strict=True)]
        else:
            at = [i + place / (len(columns) + 1) for i in range(len(rows))]
            axes.bar(at, heights, width=0.8 / len(columns), label=name)
    axes.set_xticks(range(len(rows)), labels, rotation=45, ha="right")
    _finish(axes, panel)


def draw_rows(axes: Axes, panel: dict[str, Any], rows: Rows) -> None:
    axes.axis("off")
    if not rows:
        axes.text(0.5, 0.5, "no rows", ha="center", color="0.5")
        return
    most = max(1, min(MOST_ROWS, panel["gridPos"]["h"] - 2))
    cells = [[shown(value, unit_of(panel, name)) for name, value in row.items()] for row in rows[:most]]
    grid = axes.table(cellText=cells, colLabels=list(rows[0]), loc="upper left", cellLoc="left")
    grid.auto_set_font_size(False)
    grid.set_fontsize(7)
    grid.auto_set_column_width(list(range(len(rows[0]))))
    for cell in grid.get_celld().values():
        cell.set_linewidth(0.2)
    if len(rows) > most:
        axes.text(
            0, -0.02, f"and {len(rows) - most} more rows", size=7, color="0.5", transform=axes.transAxes
        )


def draw_trace(axes: Axes, panel: dict[str, Any], rows: Rows) -> None:
    below: dict[str, Rows] = {}
    ids = {row["spanID"] for row in rows}
    for row in sorted(rows, key=lambda row: row["startTime"]):
        below.setdefault(row["parentSpanID"] if row["parentSpanID"] in ids else "", []).append(row)
    in_turn: list[tuple[int, dict[str, Any]]] = []
    waiting = [(0, row) for row in reversed(below.get("", []))]
    while waiting and len(in_turn) < 45:
        depth, row = waiting.pop()
        in_turn.append((depth, row))
        waiting += [(depth + 1, child) for child in reversed(below.get(row["spanID"], []))]
    first = min((row["startTime"] for row in rows), default=0.0)
    for place, (depth, row) in enumerate(in_turn):
        colour = "tab:red" if row["statusCode"] == 2 else "tab:blue"
        axes.barh(place, max(row["duration"], 1e-3), left=row["startTime"] - first, color=colour, height=0.7)
        axes.text(0, place, "  " * depth + row["operationName"], size=6, va="center")
    axes.invert_yaxis()
    axes.set_yticks([])
    axes.set_xlabel(f"ms; {len(in_turn)} of {len(rows)} spans", size=7)


def _finish(axes: Axes, panel: dict[str, Any]) -> None:
    axes.set_ylim(bottom=panel["fieldConfig"]["defaults"].get("min", 0))
    axes.tick_params(labelsize=7)
    unit = panel["fieldConfig"]["defaults"].get("unit", "short")
    if unit != "short":
        axes.set_ylabel({"s": "seconds", "percentunit": "share"}.get(unit, unit), size=7)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=6, loc="upper left", ncols=2, framealpha=0.6)
    axes.spines[["top", "right"]].set_visible(False)


DRAW = {
    "stat": draw_number,
    "timeseries": draw_series,
    "barchart": draw_bars,
    "table": draw_rows,
    "traces": draw_trace,
}


def draw(
    store: Store, board: dict[str, Any], times: grafana.TimeRange, path: Path, chosen: dict[str, str]
) -> None:
    """One dashboard to one PNG."""
    told = grafana.variables(board)
    choices = {name: variable.get("current", {}).get("value", "") for name, variable in told.items()} | chosen
    panels = list(grafana.panels(board))
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = plt.figure(figsize=(24 * INCHES[0], height * INCHES[1]), dpi=70)
    figure.suptitle(f"{board['title']}: {board['description']}", y=0.998, size=11)
    for panel in panels:
        at = panel["gridPos"]
        left, width = (at["x"] + 0.6) / 24, (at["w"] - 1.0) / 24
        top, tall = 1 - (at["y"] + 1.3) / (height + 0.6), (at["h"] - 2.2) / (height + 0.6)
        axes = figure.add_axes((left, top - tall, width, tall))
        axes.set_title(panel["title"], size=9, loc="left", weight="bold")
        (target,) = panel["targets"]
        rows = store.query(grafana.sent(target["rawSql"], times, choices)).dicts()
        DRAW[panel["type"]](axes, panel, rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)


def draw_all(store: Store, out: Path, hours: float, names: list[str]) -> None:
    (row,) = store.query(
        "SELECT toUnixTimestamp(max(started_at)), argMinIf(action_id, abs(spans - 40.), traces = 1)"
        " FROM actions"
    ).rows
    last, action = int(row[0]), str(row[1])
    times = grafana.TimeRange(int(last - hours * 3600), last + 1, int(max(60, hours * 3600 / 48)))
    for name, board in grafana.dashboards().items():
        if not names or name in names:
            chosen = {"action_id": action} if "action_id" in grafana.variables(board) else {}
            draw(store, board, times, out / f"{name}.png", chosen)
            print(out / f"{name}.png")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="dashboards; all without")
    parser.add_argument("--store", help="chdb:///folder or clickhouse://user:pw@host:8123/db")
    parser.add_argument("--out", type=Path, default=Path("docs/dashboards"))
    parser.add_argument("--hours", type=float, default=336.0, help="before the newest action")
    options = parser.parse_args()
    with open_store(options.store) if options.store else example_store() as store:
        draw_all(store, options.out, options.hours, options.names)


if __name__ == "__main__":
    main()
