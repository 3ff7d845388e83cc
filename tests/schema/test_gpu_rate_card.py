"""Rate cards in a store: one re-prices the past and touches no stored row; the view shows what holds when."""

from dataclasses import replace

import pytest

import otlp_json
from fanlight_schema import migrate, refresh
from fanlight_schema.gpu import seeds
from fanlight_schema.gpu.seeds import RateCard
from fanlight_schema.store import Store

START_NS = 1_795_400_000 * 10**9
CALL = {
    "fanlight.role": "call",
    "fanlight.wire": "true",
    "fanlight.requests": "1",
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "Qwen/Qwen3-32B",
    "gen_ai.usage.input_tokens": "2000",
    "gen_ai.usage.output_tokens": "300",
}
STORED = (
    "SELECT table, name, rows, modification_time FROM system.parts"
    " WHERE active AND database = currentDatabase() AND table NOT LIKE 'gpu_rate%' AND rows > 0"
    " ORDER BY table, name"
)


def shipped() -> RateCard:
    return next(c for c in seeds.rate_cards() if (c.model, c.hardware) == ("Qwen3-32B", "H100 SXM"))


def write(store: Store, card: RateCard, since: int) -> None:
    store.insert("gpu_rate_cards", seeds.columns([card]) | {"valid_from": [since]})


def scaled(card: RateCard, factor: float) -> RateCard:
    rates = ("r_n", "r_u", "r_c", "r_o", "r_a", "r_k", "r_w", "x_u", "x_o", "t_s")
    return replace(
        card, method="calibrated", source="ours", **{name: factor * getattr(card, name) for name in rates}
    )


def test_one_card_reprices_the_past_and_touches_no_stored_row(embedded_store: Store) -> None:
    row = otlp_json.row(
        trace_id=f"{1:032x}", span_id=f"{1:016x}", start_ns=START_NS, end_ns=START_NS + 10**9, attributes=CALL
    )
    embedded_store.insert("otel_traces", otlp_json.columns([row]))
    refresh.settle(embedded_store, timeout_s=60)
    figures = "SELECT gpu_seconds, gpu_seconds_low, gpu_seconds_high, gpu_method FROM gpu_demand_by_user"
    before, stored = embedded_store.query(figures).rows[0], embedded_store.query(STORED).rows
    assert any(table == "demand_hours" for table, *_ in stored)
    write(embedded_store, scaled(shipped(), 3.0), 1_700_000_000)
    refresh.price_now(embedded_store)
    after = embedded_store.query(figures).rows[0]
    assert after[:3] == pytest.approx([3 * figure for figure in before[:3]])
    assert (before[3], after[3]) == ("modelled+cache_unknown", "calibrated+cache_unknown")
    assert embedded_store.query(STORED).rows == stored


def test_the_view_shows_what_a_million_tokens_cost_and_until_when(base_store: Store) -> None:
    first = replace(
        shipped(),
        gpus=2,
        r_u=1e-3,
        x_u=1e-4,
        r_c=1e-5,
        r_o=2e-3,
        x_o=5e-4,
        r_w=0.64,
        t_s=0.32,
        dense_share=1.0,
        expert_share=1.0,
        low_factor=0.5,
        high_factor=2.0,
        reference_factor=0.25,
        method="calibrated",
        profile="ours",
        source="by hand",
    )
    view = [file for file in migrate.migrations() if file.version < 20 or file.name == "gpu_rate_card"]
    migrate.apply(base_store, files=view)
    write(base_store, scaled(first, 2.0), 1_800_000_000)
    write(base_store, first, 1_700_000_000)
    rows = base_store.query(
        "SELECT toUnixTimestamp(valid_from), toUnixTimestamp(valid_until), gpu_method,"
        " input_gpu_seconds, input_gpu_seconds_low, input_gpu_seconds_high, cached_gpu_seconds,"
        " output_gpu_seconds, output_gpu_seconds_low, output_gpu_seconds_high, output_reference_seconds,"
        " source"
        " FROM gpu_rate_card WHERE profile = 'ours' ORDER BY valid_from"
    ).rows
    # input: 1e6 (1e-3 + 2 * 1e-4); output without its steps: 1e6 (2e-3 + 2 * 5e-4) = 3,000; a step of
    # 0.64 + 2 * 0.32 = 1.28 comes to 40,000 a million if 32 share it, to 5,000 if 256, to 320,000 if 4 do
    assert rows[0] == (
        1_700_000_000,
        1_800_000_000,
        "calibrated",
        *map(pytest.approx, (1_200, 600, 2_400, 10, 43_000, 4_000, 646_000, 10_750)),
        "by hand",
    )
    assert (rows[1][0], rows[1][1], rows[1][3]) == (1_800_000_000, None, pytest.approx(2_400))
    everything = (
        "SELECT count(), countIf(output_gpu_seconds_low <= output_gpu_seconds"
        " AND output_gpu_seconds <= output_gpu_seconds_high) FROM gpu_rate_card"
    )
    ((cards, ordered),) = base_store.query(everything).rows
    assert cards == ordered == len(seeds.rate_cards()) + len(seeds.closed_cards()) + 2
