"""Compares every public view, row by row and column by column, with what reference_views makes of the spans.

exact_figures.assert_exact(store, rows)
"""

import math
from collections.abc import Sequence
from typing import Any

import reference_views
from fanlight_schema.store import Store

VIEWS: dict[str, tuple[str, ...]] = {
    "actions": ("action_id",),
    "model_calls": ("action_id", "trace_id", "span_id"),
    "fanout_by_action": ("action_name", "origin", "workload", "action_source"),
    "fanout_by_action_daily": ("day", "action_name", "origin", "workload", "action_source"),
    "fanout_by_user": ("user_id", "origin", "workload", "action_source"),
    "fanout_hourly": ("hour", "origin", "workload", "action_source"),
    "gpu_demand_by_user": ("user_id",),
    "gpu_demand_by_action": ("action_name", "origin", "workload", "action_source"),
    "gpu_demand_by_model": ("model", "hardware"),
    "gpu_demand_by_user_daily": ("day", "user_id"),
    "gpu_demand_hourly": ("hour", "model", "provider", "hardware", "region", "workload"),
}
NANOSECONDS = ("started_at", "last_end_at", "action_started_at")
RATES = "SELECT * FROM gpu_rates FINAL ORDER BY valid_from"
Found = dict[str, list[dict[str, Any]]]


def assert_exact(store: Store, rows: Sequence[dict[str, Any]]) -> None:
    """Every view is what the distinct spans of the rows give."""
    prices = prices_of(store)
    assert_same(read(store), reference_views.views(rows, prices))


def prices_of(store: Store) -> reference_views.Prices:
    columns = [row[0] for row in store.query("DESCRIBE TABLE gpu_rates").rows]
    rates = [dict(zip(columns, row, strict=True)) for row in store.query(RATES).rows]
    return reference_views.Prices({(rate["model"], rate["server_address"]): rate for rate in rates})


def read(store: Store) -> Found:
    """Every row of every view."""
    found = {}
    for view in VIEWS:
        columns = [row[0] for row in store.query(f"DESCRIBE TABLE {view}").rows]
        told = store.query(f"SELECT {', '.join(map(_as_number, columns))} FROM {view}").rows
        found[view] = [dict(zip(columns, row, strict=True)) for row in told]
    return found


def _as_number(column: str) -> str:
    if column in NANOSECONDS:
        return f"toUnixTimestamp64Nano({column})"
    return {"hour": "toUnixTimestamp(hour)", "day": "toInt32(day)"}.get(column, column)


def assert_same(found: Found, expected: Found) -> None:
    for view, key in VIEWS.items():
        got, wanted = _by_key(found[view], key), _by_key(expected[view], key)
        assert got.keys() == wanted.keys(), view
        for name, row in wanted.items():
            wrong = {
                column: (got[name].get(column), row.get(column))
                for column in got[name].keys() | row.keys()
                if not _same(got[name].get(column, "no such column"), row.get(column, "not expected"))
            }
            assert not wrong, f"{view} {name}: (found, expected) of {wrong}"


def _by_key(rows: list[dict[str, Any]], key: tuple[str, ...]) -> dict[tuple[Any, ...], dict[str, Any]]:
    found = {tuple(row[name] for name in key): row for row in rows}
    assert len(found) == len(rows), "two rows have one key"
    return found


def _same(found: Any, expected: Any) -> bool:
    if isinstance(found, float) and isinstance(expected, int | float):
        return math.isclose(found, expected, rel_tol=1e-9)
    return bool(found == expected)
