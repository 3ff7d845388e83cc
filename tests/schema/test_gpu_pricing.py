"""The SQL price equals the Python price, on both engines, from what migrate.apply() writes."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from fanlight_schema import refresh
from fanlight_schema.gpu import catalogue, pricing, roofline, seeds
from fanlight_schema.gpu.features import Outcome, Request, WorkRange, work_range
from fanlight_schema.store import Store

OUTCOMES: list[Outcome] = ["answered", "refused", "timed_out", "server_error", "cancelled", "cut"]
PRICED = f"""
SELECT d.id,
    {pricing.price_sql("", reference=False)}, {pricing.price_sql("_low", reference=False)},
    {pricing.price_sql("_high", reference=False)}, {pricing.price_sql("")}, r.reference_factor,
    {pricing.method_sql()}, r.hardware
FROM demand AS d ASOF LEFT JOIN (SELECT * FROM gpu_rates FINAL) AS r
  ON d.model = r.model AND d.server_address = r.server_address AND d.started_at >= r.valid_from
ORDER BY d.id
"""


def make_demand(store: Store, rows: Sequence[tuple[str, str, WorkRange]]) -> None:
    """A table of summed features as roll-ups carry them, one row each, and their models as seen."""
    bounds = {"": "value", "_low": "low", "_high": "high"}
    names = [f"work_{name}{bound}" for bound in bounds for name in pricing.FEATURES]
    columns = ", ".join(f"{name} Nullable(Float64)" for name in names)
    store.command(
        "CREATE TABLE demand (id UInt32, model String, server_address String, started_at DateTime('UTC'), "
        f"work_cache_unknown UInt64, {columns}) ENGINE = MergeTree ORDER BY id"
    )
    features: dict[str, Sequence[object]] = {
        f"work_{name}{bound}": [getattr(getattr(found, part), name) for _, _, found in rows]
        for bound, part in bounds.items()
        for name in pricing.FEATURES
    }
    keys: dict[str, Sequence[object]] = {
        "id": range(len(rows)),
        "model": [model for model, _, _ in rows],
        "server_address": [server for _, server, _ in rows],
        "started_at": [1_790_000_000] * len(rows),
        "work_cache_unknown": [int(found.cache_unknown) for _, _, found in rows],
    }
    store.insert("demand", keys | features)
    store.insert("gpu_models_seen", {key: keys[key] for key in ("model", "server_address")})


def random_ranges(count: int, seed: int) -> list[WorkRange]:
    dice = random.Random(seed)

    def maybe(low: int, high: int) -> int | None:
        return dice.choice([None, dice.randint(low, high)])

    found: list[WorkRange] = []
    while len(found) < count:
        request = Request(
            outcome=dice.choice(OUTCOMES),
            input_tokens=dice.randint(0, 200_000),
            output_tokens=maybe(0, 30_000),
            cached_tokens=maybe(0, 200_000),
            max_tokens=maybe(1, 30_000),
            inputs=dice.randint(1, 4),
            choices=dice.randint(1, 4),
            prefix_seen=dice.random() < 0.5,
        )
        known = work_range(request)
        if known is not None:
            found.append(known)
    return found


def test_the_sql_price_is_the_python_price_for_random_requests_of_every_model(base_store: Store) -> None:
    models = list(catalogue.models().values())
    names = {
        model.name: f"org/{model.name}" if "DeepSeek" not in model.name else model.name for model in models
    }
    ranges = random_ranges(120, seed=5)
    chosen = [models[index % len(models)] for index in range(len(ranges))]
    make_demand(base_store, [(names[m.name], "h", found) for m, found in zip(chosen, ranges, strict=True)])
    rows = base_store.query(PRICED).rows
    assert len(rows) == len(ranges)
    gpu = catalogue.hardware()[catalogue.REFERENCE_GPU]
    for model, found, row in zip(chosen, ranges, rows, strict=True):
        gpus = roofline.replica_gpus(model, gpu, model.precision)
        card = seeds.modelled_card(model, gpu)
        rates = roofline.Rates(**{name: getattr(card, name) for name in roofline.Rates.__slots__})
        largest = roofline.largest_batch(model, gpu, gpus, model.precision)
        batch = pricing.Batch(seeds.BATCH_LOW, min(seeds.BATCH_HIGH, largest))
        wanted = pricing.price(found, rates, batch, card.low_factor, card.high_factor)
        _, value, low, high, in_reference, factor, method, hardware = row
        assert (value, low, high) == pytest.approx((wanted.value, wanted.low, wanted.high), rel=1e-9)
        assert low <= value <= high
        assert (in_reference, factor, hardware) == (pytest.approx(value), 1, "H100 SXM")
        assert method == ("modelled+cache_unknown" if found.cache_unknown else "modelled")


def test_a_sum_of_features_costs_the_sum_of_the_prices(base_store: Store) -> None:
    ranges = random_ranges(40, seed=6)
    whole = WorkRange(ranges[0].value, ranges[0].low, ranges[0].high)
    for found in ranges[1:]:
        whole = WorkRange(whole.value + found.value, whole.low + found.low, whole.high + found.high)
    make_demand(base_store, [("Qwen/Qwen3-32B", "h", found) for found in [*ranges, whole]])
    prices = [row[1:4] for row in base_store.query(PRICED).rows]
    sums = [sum(column) for column in zip(*prices[:-1], strict=True)]
    assert list(prices[-1]) == pytest.approx(sums, rel=1e-9)


def answered() -> WorkRange:
    found = work_range(Request("answered", 1000, 100, cached_tokens=0))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("model", "server"),
    [("gpt-none", "api.openai.com"), ("mistral-embed", ""), ("llama-3.1-8b-instant", "api.groq.com")],
)
def test_what_no_placement_knows_is_unknown_never_zero(base_store: Store, model: str, server: str) -> None:
    make_demand(base_store, [(model, server, answered())])
    assert base_store.query(PRICED).rows == [(0, None, None, None, None, None, None, None)]


def test_unknown_work_has_an_unknown_price(base_store: Store) -> None:
    make_demand(base_store, [("Qwen/Qwen3-32B", "h", answered())])
    base_store.command("ALTER TABLE demand UPDATE work_o = NULL WHERE 1 SETTINGS mutations_sync = 1")
    assert base_store.query(PRICED).rows[0][1] is None


def test_an_operators_placement_goes_before_the_shipped_one(base_store: Store) -> None:
    mine = seeds.Placement(10, "^gpu7$", "(?i)qwen3-32b", "Qwen3-32B", "L40S", "tp4-bf16", 2, 8, "ops")
    card = next(c for c in seeds.rate_cards() if (c.model, c.hardware) == ("Qwen3-32B", "L40S"))
    base_store.insert("placements", seeds.columns([replace(mine, profile=card.profile)]))
    make_demand(base_store, [("Qwen/Qwen3-32B", "gpu7", answered()), ("Qwen/Qwen3-32B", "gpu8", answered())])
    rows = base_store.query(PRICED).rows
    assert [row[7] for row in rows] == ["L40S", "H100 SXM"]
    assert rows[0][4] == pytest.approx(rows[0][1] * card.reference_factor)


def test_one_inserted_card_prices_the_past_anew(base_store: Store) -> None:
    make_demand(base_store, [("Qwen/Qwen3-32B", "h", answered())])
    before = base_store.query(PRICED).rows[0]
    card = next(c for c in seeds.rate_cards() if (c.model, c.hardware) == ("Qwen3-32B", "H100 SXM"))
    better = replace(
        card, method="calibrated", r_u=2 * card.r_u, r_a=0.0, r_k=0.0, low_factor=1.0, high_factor=1.0
    )
    columns = seeds.columns([better]) | {"valid_from": [1_700_000_000]}
    base_store.insert("gpu_rate_cards", columns)
    refresh.price_now(base_store)
    after = base_store.query(PRICED).rows[0]
    assert (before[6], after[6]) == ("modelled", "calibrated")
    assert after[1] != before[1]


def test_a_card_does_not_price_what_was_before_it(base_store: Store) -> None:
    make_demand(base_store, [("Qwen/Qwen3-32B", "h", answered())])
    card = next(c for c in seeds.rate_cards() if (c.model, c.hardware) == ("Qwen3-32B", "H100 SXM"))
    later = seeds.columns([replace(card, method="calibrated")]) | {"valid_from": [1_800_000_000]}
    base_store.insert("gpu_rate_cards", later)
    refresh.price_now(base_store)
    assert base_store.query(PRICED).rows[0][6] == "modelled"


def test_rates_follow_placements_and_cards_and_what_is_gone_prices_nothing(base_store: Store) -> None:
    make_demand(base_store, [("Qwen/Qwen3-32B", "gpu7", answered()), ("no-such-model", "gpu7", answered())])
    assert [row[7] for row in base_store.query(PRICED).rows] == ["H100 SXM", None]
    card = next(c for c in seeds.rate_cards() if (c.model, c.hardware) == ("Qwen3-32B", "L40S"))
    mine = seeds.Placement(10, "^gpu7$", "", "Qwen3-32B", "L40S", card.profile, 2, 8, "ops")
    base_store.insert("placements", seeds.columns([mine]))
    refresh.price_now(base_store)
    assert [row[7] for row in base_store.query(PRICED).rows] == ["L40S", "L40S"]
    written = base_store.query("SELECT count() FROM gpu_rates").rows
    refresh.price_now(base_store)
    assert base_store.query("SELECT count() FROM gpu_rates").rows == written
    base_store.command("DELETE FROM placements WHERE priority = 10")
    refresh.price_now(base_store)
    assert [row[7] for row in base_store.query(PRICED).rows] == ["H100 SXM", None]
    base_store.command("DELETE FROM placements WHERE model_pattern LIKE '%wen3-?32b%' OR model = 'Qwen3-32B'")
    refresh.price_now(base_store)
    assert [row[7] for row in base_store.query(PRICED).rows] == [None, None]


def test_the_catalogue_is_written_once(base_store: Store) -> None:
    assert not seeds.write(base_store)
    counts = "SELECT (SELECT count() FROM gpu_rate_cards FINAL), (SELECT count() FROM placements FINAL)"
    cards = len(seeds.rate_cards()) + len(seeds.closed_cards())
    assert base_store.query(counts).rows == [(cards, len(seeds.placements()))]


def test_a_newer_catalogue_takes_the_place_of_the_older_placements(base_store: Store) -> None:
    old = replace(
        seeds.placements()[1], model_pattern="^was-spelled-otherwise$", source=f"{seeds.SOURCE} 0123"
    )
    base_store.insert("placements", seeds.columns([old, replace(old, priority=5, source="ops")]))
    base_store.insert("schema_seeds", {"name": [seeds.SEED], "checksum": ["of an older catalogue"]})
    assert seeds.write(base_store)
    rows = base_store.query(
        "SELECT source FROM placements FINAL WHERE model_pattern = '^was-spelled-otherwise$'"
    ).rows
    assert rows == [("ops",)]
