"""Closed models: the price bound against genai-prices' own sums, the lower bound by hand, and the views."""

import re
import sys
from dataclasses import replace
from datetime import datetime, timezone
from fractions import Fraction

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st

import otlp_json
from fanlight_schema import refresh
from fanlight_schema.gpu import catalogue, closed, seeds
from fanlight_schema.gpu.closed import ClosedModel, bounds_of, closed_models, least, most
from fanlight_schema.gpu.list_prices import ListPrice, list_prices
from fanlight_schema.store import Store

PRICED = [model for model in closed_models().values() if list_prices(model.price_provider, model.price_model)]
# What genai-prices 0.1 does not know yet, the newest for Python 3.10.
LATER = {"claude-fable-5-2", "claude-mythos-5-2", "gpt-5-search-api", "gpt-6.1-terra", "davinci-002"} | {
    *("babbage-002", "gemini-4-argon", "grok-4.20-multi-agent", "muse-wonder-1.0"),
    *("muse-spark-1.1", "muse-spark-1.2", "muse-spark-1.3", "mistral-large-4", "kimi-k3.1-pro"),
}
GUESSED = [model for model in closed_models().values() if model.active_parameters]
SINCE_2026_12 = datetime(2026, 12, 1, tzinfo=timezone.utc)
GPT_5 = ListPrice(0, 1.25e-6, 0.125e-6, 10e-6)  # https://openai.com/api/pricing, August 2025
TOKENS = st.integers(0, 200_000)


def priced(model: ClosedModel) -> list[ListPrice]:
    return list_prices(model.price_provider, model.price_model)


def name_of(model: ClosedModel) -> str:
    """A name that genai-prices finds the model by: its id there, which two of them do not match."""
    others = {"mistral-medium-3-1": "mistral-medium-2508", "codestral": "codestral-2501"}
    return others.get(model.price_model, model.price_model)


def seconds(rates: tuple[float, ...], u: float, c: float, o: float) -> float:
    """GPU-seconds of tokens at rates per n u c o a k; closed models have none for a and k."""
    assert (rates[0], *rates[4:]) == (0, 0, 0)
    return rates[1] * u + rates[2] * c + rates[3] * o


def test_the_price_bound_by_hand() -> None:
    """1,000 uncached, 9,000 cached and 500 output tokens of gpt-5 are $0.007375, at $1.49 an hour 17.82 s."""
    dollars = Fraction("0.00125") + 9 * Fraction("0.000125") + Fraction("0.005")
    assert dollars == Fraction("0.007375")
    assert closed.cheapest_hour().usd_per_hour == 1.49
    assert seconds(most(GPT_5), 1000, 9000, 500) == pytest.approx(0.007375 * 3600 / 1.49)
    assert seconds(most(GPT_5), 1000, 9000, 500) == pytest.approx(17.8188, rel=1e-5)
    assert priced(closed_models()["gpt-5"]) == [GPT_5]


def test_the_least_that_a_guess_allows_by_hand() -> None:
    """EcoLogits guesses 44 billion active parameters of claude-sonnet-4.5 at least; an H100 has 1978 TFLOP/s.

    2 FLOP each at 65 % are 68.4 us a token; 4.25 bits each at 85 % of 3.35 TB/s are 8.21 ms a step of 256.
    """
    found = least(closed_models()["claude-sonnet-4-5"], 256)
    assert found[1] == pytest.approx(2 * 44e9 / (1978e12 * 0.65))
    assert found[1] == pytest.approx(68.445e-6, rel=1e-4)
    assert found[3] - found[1] == pytest.approx(8.2089e-3 / 256, rel=1e-4)
    assert found[2] == pytest.approx(4 * 512 / (3.35e12 * 0.85))  # Gemma 3 1B in fp8: 2 KiB a token


@given(st.sampled_from(PRICED), TOKENS, TOKENS, TOKENS)
def test_the_upper_bound_is_what_the_price_would_rent(model: ClosedModel, u: int, c: int, o: int) -> None:
    """genai-prices adds up the request itself; in steps or by the hour its price is at most that."""
    usage = genai_prices.Usage(input_tokens=u + c, cache_read_tokens=c, output_tokens=o)
    paid = genai_prices.calc_price(
        usage,
        name_of(model),
        provider_id=model.price_provider,
        genai_request_timestamp=SINCE_2026_12,
    )
    assert paid.model.id == model.price_model
    last = [price for price in priced(model) if price.since <= SINCE_2026_12.timestamp()][-1]
    bound = seconds(bounds_of(model, last, 256).high, u, c, o)
    rented = float(paid.input_price + paid.output_price) * 3600 / closed.cheapest_hour().usd_per_hour
    assert rented <= bound * (1 + 1e-9)
    if "(+tiers)" not in str(paid.model_price) and model.price_provider != "deepseek":  # prices by the hour
        assert bound == pytest.approx(rented)


@given(
    st.sampled_from(list(closed_models().values())),
    st.tuples(*[st.floats(0, 1e-3)] * 3),
    st.floats(1, 1024),
    st.tuples(TOKENS, TOKENS, TOKENS),
)
def test_bounds_are_in_order_at_every_price(
    model: ClosedModel, dollars: tuple[float, float, float], batch: float, tokens: tuple[int, int, int]
) -> None:
    found = bounds_of(model, ListPrice(0, *dollars), batch)
    low, value, high = (seconds(rates, *tokens) for rates in (found.low, found.value, found.high))
    assert low <= value * (1 + 1e-9)
    assert value <= high * (1 + 1e-9)


@given(st.sampled_from([model for model in GUESSED if model in PRICED]), st.floats(1, 10), st.floats(1, 256))
def test_a_larger_guess_raises_the_lower_bound_alone(model: ClosedModel, factor: float, batch: float) -> None:
    assert model.active_parameters
    larger = replace(model, active_parameters=(factor * model.active_parameters[0], 1e15))
    (price, *_) = priced(model)
    before, after = bounds_of(model, price, batch), bounds_of(larger, price, batch)
    if all(a <= b for a, b in zip(least(larger, batch), most(price), strict=True)):
        assert after.high == before.high
        assert after.low[1] == pytest.approx(factor * before.low[1])
        assert after.low[3] == pytest.approx(factor * before.low[3])


def test_where_price_and_guess_contradict_each_other_the_interval_spans_both() -> None:
    huge = replace(closed_models()["gpt-5"], active_parameters=(1e15, 1e15))
    found, floor, ceiling = bounds_of(huge, GPT_5, 256), least(huge, 256), most(GPT_5)
    assert floor[1] > ceiling[1]
    assert (found.low[1], found.high[1]) == (ceiling[1], floor[1])


def test_without_a_guess_nothing_bounds_the_work_from_below() -> None:
    found = bounds_of(closed_models()["grok-4"], GPT_5, 256)
    assert closed_models()["grok-4"].parameters is None
    assert set(found.low) == {0}
    assert found.value == tuple(high / 2 for high in found.high)


def test_a_price_that_changed_has_a_card_for_each_time() -> None:
    """OpenAI took 80 % off o3 on 10 June 2025: $10 and $40 a million tokens before, $2 and $8 after."""
    cards = [(card, since) for card, since in seeds.closed_cards() if card.model == "o3"]
    change = int(datetime(2025, 6, 10, tzinfo=timezone.utc).timestamp())
    assert [since for _, since in cards] == [0, change]
    before, after = (card.rates_high for card, _ in cards)
    assert (before[1] / after[1], before[3] / after[3]) == pytest.approx((5, 5))
    assert {card.method for card, _ in cards} == {"price_implied"}


@pytest.mark.parametrize("name", ["deepseek-chat", "deepseek-v4-pro"])
def test_of_prices_by_the_hour_the_dearest_bounds_the_work(name: str) -> None:
    usage = genai_prices.Usage(input_tokens=1_000_000, output_tokens=0)
    for price in list_prices("deepseek", name):
        day = datetime.fromtimestamp(price.since or 1_735_700_000, timezone.utc).replace(hour=0)
        paid = [
            genai_prices.calc_price(
                usage, name, provider_id="deepseek", genai_request_timestamp=day.replace(hour=hour, minute=45)
            ).total_price
            for hour in range(24)
        ]
        assert min(paid) < max(paid)
        assert price.uncached * 1e6 == pytest.approx(float(max(paid)))


def test_without_the_package_no_price_is_known_and_no_closed_model_is_placed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices.data_snapshot", None)
    assert list_prices("openai", "gpt-5") == []
    assert seeds.closed_cards() == []
    assert {place.model for place in seeds.placements()} == {"", *catalogue.models()}


def test_every_closed_model_has_a_price_and_a_card_that_says_where_from() -> None:
    cards = {card.model: card for card, _ in seeds.closed_cards()}
    assert set(cards) == {model.name for model in PRICED}
    older = genai_prices.__version__.startswith("0.1.")
    assert set(closed_models()) - set(cards) <= (LATER if older else set())
    for name, card in cards.items():
        assert "genai-prices at $1.49" in card.source
        assert closed_models()[name].source in card.source
        assert card.low_factor <= 1 <= card.high_factor


def test_guesses_are_ranges_of_a_size() -> None:
    for model in GUESSED:
        assert model.parameters
        assert model.active_parameters
        assert 0 < model.active_parameters[0] <= model.active_parameters[1] <= model.parameters[1]
        assert model.parameters[0] <= model.parameters[1]
        assert "EcoLogits" in model.source
    assert len(GUESSED) == 97


@pytest.mark.parametrize("model", PRICED, ids=lambda model: model.name)
def test_a_name_finds_the_model_that_genai_prices_finds(model: ClosedModel) -> None:
    """Its id there, with what gateways put before and behind it; and no other row, open ones included."""
    known = name_of(model)
    _, priced_as = get_snapshot().find_provider_model(known, None, model.price_provider, None)
    assert priced_as.id == model.price_model
    bare = known.removeprefix("global.")
    both = (*closed_models().values(), *catalogue.models().values())
    for name in (known, f"openrouter/{bare}", bare.upper()):
        assert [one.name for one in both if re.search(one.pattern, name)] == [model.name]


SPELLINGS = {
    "claude-sonnet-4-5": [
        "claude-sonnet-4-5-20250929",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "anthropic/claude-sonnet-4.5",
        "claude-sonnet-4-5@20250929",
    ],
    "gpt-4o": ["gpt-4o-2024-08-06", "openai/gpt-4o"],
    "gpt-4o-2024-05-13": ["gpt-4o-2024-05-13"],
    "gpt-4o-mini": ["gpt-4o-mini-2024-07-18"],
    "gpt-3.5-turbo": ["gpt-35-turbo", "gpt-3.5-turbo-0125"],
    "gemini-2.5-flash": ["models/gemini-2.5-flash", "gemini-2.5-flash-preview-09-2025"],
    "gemini-3.1-pro": ["gemini-pro-latest"],
    "nova-lite": ["us.amazon.nova-lite-v1:0"],
}
OTHERS = [
    "gpt-4o-audio-preview",
    "gpt-4o-mini-tts",
    "gpt-oss-120b",
    "text-embedding-3-small",
    "gemini-2.5-pro-tts",
]


@pytest.mark.parametrize(("model", "name"), [(m, name) for m, names in SPELLINGS.items() for name in names])
def test_a_closed_models_spellings_find_it_and_it_alone(model: str, name: str) -> None:
    assert [one.name for one in closed_models().values() if re.search(one.pattern, name)] == [model]


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_priced_otherwise_finds_none(name: str) -> None:
    assert not [one.name for one in closed_models().values() if re.search(one.pattern, name)]


CALL = {
    "fanlight.role": "call",
    "fanlight.wire": "true",
    "fanlight.requests": "1",
    "gen_ai.operation.name": "chat",
    "gen_ai.usage.input_tokens": "10000",
    "gen_ai.usage.cache_read.input_tokens": "9000",
    "gen_ai.usage.output_tokens": "500",
}
MEASURED = {f"gpu_supply_hourly.{kind}_gpu_seconds" for kind in ("allocated", "busy", "idle", "unknown")}
VIEWS = ("actions", "gpu_demand_by_user", "gpu_demand_by_action", "gpu_demand_by_model", "gpu_demand_hourly")


def test_every_view_has_the_interval_and_the_method(embedded_store: Store) -> None:
    start = 1_795_400_000 * 10**9
    row = otlp_json.row(
        trace_id=f"{1:032x}",
        span_id=f"{1:016x}",
        start_ns=start,
        end_ns=start + 10**9,
        attributes=CALL | {"gen_ai.request.model": "gpt-5", "server.address": "api.openai.com"},
    )
    embedded_store.insert("otel_traces", otlp_json.columns([row]))
    refresh.settle(embedded_store, timeout_s=60)
    bounds = bounds_of(closed_models()["gpt-5"], GPT_5, seeds.BATCH_HIGH)
    wanted = [seconds(rates, 1000, 9000, 500) for rates in (bounds.low, bounds.value, bounds.high)]
    assert wanted[2] == pytest.approx(17.8188, rel=1e-5)
    for view in VIEWS:
        ((low, value, high, method),) = embedded_store.query(
            f"SELECT gpu_seconds_low, gpu_seconds, gpu_seconds_high, gpu_method FROM {view}"
        ).rows
        assert [low, value, high] == pytest.approx(wanted), view
        assert method == "price_implied", view


def test_no_view_has_estimated_gpu_seconds_without_their_bounds(embedded_store: Store) -> None:
    """Of all views that there are; those of scraped GPUs are measured, and exact."""
    rows = embedded_store.query(
        "SELECT c.table, groupArray(c.name) FROM system.columns AS c"
        " INNER JOIN system.tables AS t ON t.database = c.database AND t.name = c.table"
        " WHERE c.database = currentDatabase() AND t.engine = 'View' GROUP BY c.table"
    ).rows
    bare = {
        f"{table}.{name}"
        for table, names in rows
        for name in names
        if re.search(r"gpu_seconds$|reference_gpus$", name)
        and not {f"{name}_low", f"{name}_high"} <= set(names)
    }
    assert bare == MEASURED
