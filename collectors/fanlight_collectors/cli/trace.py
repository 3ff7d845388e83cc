"""`fanlight trace ID`: everything that one action set off, as a tree."""

import re
from collections import Counter
from contextlib import closing
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from fanlight_collectors.cli.counting import uncounted_line, wait_until_counted
from fanlight_collectors.cli.errors import CommandError, unusable
from fanlight_collectors.cli.figures import bounded, count, counted, duration
from fanlight_collectors.cli.output import busy, show_value, terminal
from fanlight_collectors.cli.spans import Line, Node, build_tree, tree_lines
from fanlight_collectors.cli.target import Reader, StoreOption, open_reader, read_rows
from fanlight_collectors.cli.trace_sql import MAX_MATCHES, action_sql, matches_sql, members_sql, spans_sql

DEFAULT_LINES = 100
ID_DIGITS = 32
NEWEST = (
    "the newest ids: "
    'fanlight sql "SELECT action_id, action_name, user_id FROM actions ORDER BY started_at DESC LIMIT 10"'
)
STYLES = {"action": "bold", "agent": "cyan", "tool": "magenta", "request": "dim", "hidden": "dim italic"}


def trace(
    action: Annotated[
        str, typer.Argument(metavar="ID", help="An action id or a trace id, or the first digits of one.")
    ],
    everything: Annotated[bool, typer.Option("--all", help="Show every span.")] = False,
    limit: Annotated[
        int, typer.Option(min=1, metavar="SPANS", help="Show about so many; errors are kept.")
    ] = DEFAULT_LINES,
    store: StoreOption = None,
) -> None:
    """Show one action as a tree: agents, tools, model calls, and the requests of retried calls.

    Spans with a * are on the critical path: only what makes one of them shorter makes the action shorter.

    Examples:
      fanlight trace 4bf92f3577b34da6
      fanlight trace 4bf9 --all | less -R
      fanlight sql "SELECT action_id FROM actions ORDER BY requests DESC LIMIT 5"
    """
    prefix = action.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{1,32}", prefix):
        raise unusable(
            f"{action} is no action id, which is 32 hexadecimal digits, or the first few of them; {NEWEST}"
        )
    with busy("opening the store"):
        reader = open_reader(store)
    with closing(reader):
        with busy("reading"):
            uncounted = wait_until_counted(reader)
        action_id, others = find_action(reader, prefix, uncounted)
        show_cascade(terminal(), reader, action_id, None if everything else limit)
    if others:
        also = ", ".join(f"{one['action_id']} {show_value(one['action_name'])}".strip() for one in others)
        terminal().print(Text(f"a trace of this id has spans of other actions: {also}", style="dim"))
    if uncounted:
        terminal().print(Text(uncounted_line(uncounted), style="dim"))


def find_action(reader: Reader, prefix: str, uncounted: int = 0) -> tuple[str, list[dict[str, object]]]:
    """The one action that the prefix means, and others that have spans in the trace of just that id.

    CommandError if there is none, or more than one of which none has the id as it stands.
    """
    found = read_rows(reader, matches_sql(prefix)).objects()
    if not found and uncounted:
        raise CommandError(f"no action that begins with {prefix} is counted yet; {uncounted_line(uncounted)}")
    if not found:
        raise CommandError(f"no action or trace begins with {prefix}; {NEWEST}")
    if exact := [one for one in found if one["action_id"] == prefix]:
        return prefix, [one for one in found if one not in exact]
    if len(found) > 1:
        listed = "".join(
            f"\n  {one['action_id']}  {show_value(one['action_name'])}  {show_value(one['user_id'])}"
            for one in found[: MAX_MATCHES - 1]
        )
        more = "\n  ..." if len(found) == MAX_MATCHES else ""
        what = (
            f"trace {prefix} has spans of several actions; name one of"
            if len(prefix) == ID_DIGITS
            else f"{prefix} is not the beginning of one id only; give more digits of"
        )
        raise CommandError(f"{what}:{listed}{more}")
    return str(found[0]["action_id"]), []


def show_cascade(console: Console, reader: Reader, action_id: str, limit: int | None) -> None:
    """The action's figures in two lines, then the tree."""
    with busy("reading"):
        rows = read_rows(reader, action_sql(action_id)).objects()
        told = [_node(row) for row in read_rows(reader, spans_sql(action_id)).objects()]
        members = {row["span_id"]: row for row in read_rows(reader, members_sql(action_id)).objects()}
    path = [row for row in members.values() if row["is_critical"]]
    nodes = [node for node in told if node.span_id in members]
    for node in nodes:
        node.critical = bool(members[node.span_id]["is_critical"])
    if rows:
        _show_action(console, rows[0])
        _show_path(console, rows[0], path)
    tree = build_tree(nodes)
    total = sum(root.size() for root in tree)
    lines = list(tree_lines(tree, limit))
    for line in lines:
        console.print(_text(line), overflow="ellipsis", no_wrap=True)
    hidden = total - sum(1 for line in lines if line.role != "hidden")
    if hidden:
        console.print(Text(f"{hidden:,} of {total:,} spans not shown (--all shows them)", style="dim"))


def _show_action(console: Console, row: dict[str, object]) -> None:
    user = f" of {show_value(row['user_id'])}" if row["user_id"] else ""
    name = show_value(row["action_name"]) if row["action_name"] else "action without a name"
    console.print(Text(f"{name}{user}", style="bold").append(f"   {row['action_id']}", style="dim"))
    console.print(
        f"{counted(row['requests'], 'request')} in {counted(row['model_calls'], 'call')}, "
        f"{counted(row['agent_steps'], 'agent')}, {counted(row['tool_calls'], 'tool')}, "
        f"depth {count(row['depth'])}, {duration(row['duration_s'])}"
    )
    priced = (
        row["gpu_seconds_high"] or not row["requests_unpriced"]
    )  # else only refused requests have a price
    gpu = bounded(row["gpu_seconds"] if priced else None, row["gpu_seconds_low"], row["gpu_seconds_high"])
    method = f", {row['gpu_method']}" if priced and row["gpu_seconds"] is not None else ""
    estimated = f" (of {counted(row['calls_estimated'], 'call')} estimated)" if row["calls_estimated"] else ""
    console.print(
        f"{count(row['input_tokens'])} tokens in, {count(row['output_tokens'])} out{estimated}; "
        f"GPU-seconds {gpu}{method}"
    )


def _show_path(console: Console, row: dict[str, object], path: list[dict[str, object]]) -> None:
    """What the action's time went on, in one line."""
    spent: Counter[str] = Counter()
    for span in path:
        spent[str(span["spent_on"])] += _int(span["critical_ns"]) or 0
    in_models, in_tools, between = (spent[part] / 1e9 for part in ("model", "tool", "waiting"))
    rest = max(float(str(row["duration_s"])) - in_models - in_tools - between, 0.0)
    parts = [f"{duration(in_models)} in models", f"{duration(in_tools)} in tools"]
    parts += [f"{duration(between)} between tries"] if between else []
    width = f"; at most {counted(row['width'], 'call')} at once" if row["width"] else ""
    console.print(f"critical path (*): {', '.join(parts)}, {duration(rest)} in agents and the rest{width}")
    console.print()


def _text(line: Line) -> Text:
    text = Text(line.branch, style="dim")
    text.append(line.title, style="red" if line.error else STYLES.get(line.role, ""))
    if line.error:
        text.append(f"  {line.error}", style="bold red")
    if line.note:
        text.append(f"  {line.note}", style="yellow")
    if line.critical:
        text.append("  *", style="bold green")
    return text.append(f"  {line.facts}", style="dim") if line.facts else text


def _node(row: dict[str, object]) -> Node:
    role = str(row["role"])
    error = str(row["error_type"] or "error") if row["is_error"] else ""
    if row["http_status"] is not None and (error or role == "request"):
        error = f"HTTP {row['http_status']}" if (_int(row["http_status"]) or 0) >= 400 else error
    return Node(
        span_id=str(row["span_id"]),
        parent_id=str(row["parent_id"]),
        role=role,
        name=show_value(row["agent_name"] if role == "agent" else row["tool_name"] if role == "tool" else "")
        or show_value(row["name"]),
        start_ns=_int(row["start_ns"]) or 0,
        duration_ns=_int(row["duration_ns"]) or 0,
        error=error,
        requests=_int(row["requests"]),
        resend=_int(row["resend_count"]),
        input_tokens=_int(row["input_tokens"]),
        cached_tokens=_int(row["cached_tokens"]),
        output_tokens=_int(row["output_tokens"]),
        estimated=row["usage_source"] == "estimated",
    )


def _int(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None
