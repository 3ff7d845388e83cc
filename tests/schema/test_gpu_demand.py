"""GPU-seconds of several GPUs and methods, added up: whole views against reference_views."""

from dataclasses import replace
from typing import Any

import pytest

import exact_figures
import otlp_json
from fanlight_schema import refresh
from fanlight_schema.gpu import seeds
from fanlight_schema.store import Store

HOUR_NS = 3_600 * 10**9
START_NS = 1_795_400_000 * 10**9 // HOUR_NS * HOUR_NS
ANSWERED = {"gen_ai.usage.input_tokens": "2000", "gen_ai.usage.output_tokens": "300"}
REFUSED = {"fanlight.request.outcome": "refused", "http.response.status_code": "429"}


def action(number: int, hour: int, name: str, user: str, *calls: dict[str, str]) -> list[dict[str, Any]]:
    """A declared action with its calls, all begun in one hour."""
    start = START_NS + hour * HOUR_NS
    root = {
        "fanlight.role": "action",
        "fanlight.action.name": name,
        "fanlight.action.source": "declared",
        "user.id": user,
    }
    call = {"fanlight.role": "call", "fanlight.wire": "true", "gen_ai.operation.name": "chat"}
    spans = [root, *({**call, "fanlight.requests": "1"} | own for own in calls)]
    return [
        otlp_json.row(
            trace_id=f"{number:032x}",
            span_id=f"{n:016x}",
            parent_id="" if n == 1 else f"{1:016x}",
            start_ns=start + n * 10**9,
            end_ns=start + (n + 1) * 10**9,
            attributes=attributes,
        )
        for n, attributes in enumerate(spans, 1)
    ]


def to(model: str, host: str, **changes: dict[str, str]) -> dict[str, str]:
    return {"gen_ai.request.model": model, "server.address": host} | ANSWERED | changes.get("but", {})


def calibrate_b200(store: Store) -> None:
    """An operator's B200 serves qwen3-32b at gpu7, with rates that were calibrated."""
    card = next(c for c in seeds.rate_cards() if (c.model, c.hardware) == ("Qwen3-32B", "B200 SXM"))
    mine = replace(card, method="calibrated", low_factor=0.9, high_factor=1.2)
    store.insert("gpu_rate_cards", seeds.columns([mine]) | {"valid_from": [1_700_000_000]})
    place = seeds.Placement(
        10, "^gpu7$", "(?i)qwen3-32b", "Qwen3-32B", "B200 SXM", card.profile, 8, 16, "ops"
    )
    store.insert("placements", seeds.columns([place]))


def test_demand_of_several_gpus_and_methods_is_exact_in_every_view(embedded_store: Store) -> None:
    calibrate_b200(embedded_store)
    rows = [
        *action(1, 0, "ask", "ann", to("qwen3-32b", "gpu7"), to("qwen3-32b", "gpu8"), to("gpt-none", "api")),
        *action(2, 30, "ask", "ben", to("qwen3-32b", "gpu8"), to("gpt-none", "api", but=REFUSED)),
        *action(3, 5, "digest", "ann", to("gpt-none", "api")),
    ]
    embedded_store.insert("otel_traces", otlp_json.columns(rows))
    refresh.settle(embedded_store, timeout_s=60)
    exact_figures.assert_exact(embedded_store, rows)

    users = embedded_store.query(
        "SELECT user_id, window_s, round(share_calibrated + share_modelled, 9), share_calibrated > 0,"
        " share_modelled > 0, requests_unpriced, share_unpriced, gpu_method,"
        " abs(reference_gpus * window_s / gpu_seconds - 1) < 1e-9"
        " FROM gpu_demand_by_user ORDER BY user_id"
    )
    hours = 31 * 3_600  # from the first hour to the end of the thirty-first
    assert users.rows == [
        ("ann", hours, 1.0, True, True, 2, 0.5, "modelled+cache_unknown", True),
        ("ben", hours, 1.0, False, True, 0, 0.0, "modelled+cache_unknown", True),
    ]
    unknown = embedded_store.query(
        "SELECT action_name, gpu_seconds, gpu_seconds_low, share_modelled, reference_gpus, share_unpriced"
        " FROM gpu_demand_by_action WHERE action_name = 'digest'"
    )
    assert unknown.rows == [("digest", None, None, None, None, 1.0)]

    factors = dict(embedded_store.query("SELECT hardware, reference_factor FROM gpu_hardware").rows)
    assert factors == {c.hardware: pytest.approx(c.reference_factor) for c in seeds.rate_cards()}
    for view in ("gpu_demand_by_model", "gpu_demand_hourly"):
        found = embedded_store.query(
            f"SELECT DISTINCT hardware, round(gpu_seconds / hardware_gpu_seconds, 9),"
            f" round(gpu_seconds_low / hardware_gpu_seconds_low, 9),"
            f" round(gpu_seconds_high / hardware_gpu_seconds_high, 9)"
            f" FROM {view} WHERE hardware_gpu_seconds > 0 ORDER BY hardware"
        )
        names = ["B200 SXM", "H100 SXM"]
        assert found.rows == [(name, *[pytest.approx(factors[name])] * 3) for name in names], view
