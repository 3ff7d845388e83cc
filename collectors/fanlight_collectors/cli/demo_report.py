"""What `fanlight demo` shows at its end: the figures of this run, one cascade, and the SQL behind them."""

from rich.console import Console
from rich.text import Text

from fanlight_collectors.cli.stats import show_groups, show_headline, why_unpriced
from fanlight_collectors.cli.stats_sql import Scope, grouped_sql, headline_sql
from fanlight_collectors.cli.target import Reader, read_rows
from fanlight_collectors.cli.trace import show_cascade

TREE_LINES = 24


def show_report(console: Console, reader: Reader, session: str, store: str) -> None:
    """Fan-out and GPU-seconds by action and by user, one research as a tree, and the statements."""
    scope = Scope(session_prefix=f"{session}-")
    headline = read_rows(reader, headline_sql(scope)).objects()[0]
    show_headline(console, headline, scope, why_unpriced(reader, headline, scope))
    _section(console, "by user")
    show_groups(console, read_rows(reader, grouped_sql("user", scope)), "user")
    _section(console, "by action")
    show_groups(console, read_rows(reader, grouped_sql("action", scope)), "action")
    chosen = _an_action(reader, scope)
    if chosen is not None:
        _section(console, "one action as a tree")
        show_cascade(console, reader, chosen, TREE_LINES)
    _section(console, f"the SQL of these figures, for fanlight sql --store {store}")
    for statement in _statements(session):
        console.print(Text(statement, style="cyan"), soft_wrap=True)


def _statements(session: str) -> list[str]:
    return [
        "SELECT user_id, requests, fanout_mean, fanout_p99 FROM fanout_by_user WHERE origin = 'user'",
        "SELECT user_id, gpu_seconds, gpu_seconds_low, gpu_seconds_high, gpu_method FROM gpu_demand_by_user",
        "SELECT user_id, requests, gpu_seconds, gpu_method FROM actions "
        f"WHERE startsWith(session_id, '{session}-') ORDER BY requests DESC",
    ]


def _section(console: Console, title: str) -> None:
    console.print()
    console.print(Text(title, style="bold underline"))


def _an_action(reader: Reader, scope: Scope) -> str | None:
    """One with a retry in it, near to thirty requests: enough to show, few enough to read."""
    nearest = "ORDER BY a.requests = a.model_calls, abs(a.requests - 30), action_id LIMIT 1"
    sql = f"SELECT action_id FROM actions AS a {scope.where('a')} {nearest}"
    rows = read_rows(reader, sql).rows
    return str(rows[0][0]) if rows else None
