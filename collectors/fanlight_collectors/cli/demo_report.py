"""What `fanlight demo` shows at its end: the figures of this run, one cascade, and the SQL behind them."""

from rich.console import Console
from rich.text import Text

from fanlight_collectors.cli.stats import show_groups, show_headline
from fanlight_collectors.cli.stats_sql import Scope, grouped_sql, headline_sql
from fanlight_collectors.cli.target import Reader, read_rows
from fanlight_collectors.cli.trace import show_cascade

TREE_LINES = 24


def show_report(console: Console, reader: Reader, session: str) -> None:
    """Fan-out and GPU-seconds by action and by user, the widest research as a tree, and the statements."""
    scope = Scope(session_prefix=f"{session}-")
    show_headline(console, read_rows(reader, headline_sql(scope)).objects()[0], scope)
    console.rule("by user", align="left", style="dim")
    show_groups(console, read_rows(reader, grouped_sql("user", scope)), "user")
    console.rule("by action", align="left", style="dim")
    show_groups(console, read_rows(reader, grouped_sql("action", scope)), "action")
    chosen = _an_action(reader, scope)
    if chosen is not None:
        console.rule("one action as a tree", align="left", style="dim")
        show_cascade(console, reader, chosen, TREE_LINES)
        console.print(Text(f"all of it: fanlight trace {chosen[:12]} --all", style="dim"))
        console.print()
    console.rule(
        "the SQL of the table by user (views: actions, model_calls, fanout_*, gpu_demand_*)", align="left"
    )
    console.print(Text(grouped_sql("user", scope), style="dim"), soft_wrap=True)
    console.print()


def _an_action(reader: Reader, scope: Scope) -> str | None:
    """The action nearest to thirty requests: enough to show, few enough to read."""
    nearest = "ORDER BY abs(a.requests - 30), action_id LIMIT 1"
    sql = f"SELECT action_id FROM actions AS a {scope.where('a')} {nearest}"
    rows = read_rows(reader, sql).rows
    return str(rows[0][0]) if rows else None
