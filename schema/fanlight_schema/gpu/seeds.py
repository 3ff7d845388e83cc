"""Writes the catalogue into a store: rate cards for every model, and default placements.

An open model has a modelled card for every GPU; the default is H100 SXM, on as many as it needs, in a wide
range of batches. A closed model has a card of method `price_implied` for each time at which its list price
changed. What is neither has no placement, so its GPU-seconds stay unknown. Operators' placements (priority
below 900) go before these.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from ..store import Store
from .catalogue import REFERENCE_GPU, Hardware, Model, hardware, models
from .closed import ClosedModel, bounds_of, cheapest_hour, closed_models
from .list_prices import ListPrice, list_prices
from .roofline import (
    CONTEXT_TOKENS,
    HIGH_FACTOR,
    LOW_FACTOR,
    Rates,
    largest_batch,
    rates,
    reference_factor,
    replica_gpus,
    with_windows,
)

SEED = "gpu_catalogue"
SOURCE = "fanlight catalogue"
SHIPPED_PRIORITY = 1000
CLOSED_PRIORITY = 1100
NO_GPU_PRIORITY = 900
# These answer from accelerators of their own, so that GPU-seconds of an H100 would be wrong for them.
NO_GPU_HOSTS = r"(?i)(^|\.)(groq\.com|cerebras\.ai|sambanova\.ai)$"
# From the lowest concurrency in ai-dynamo/aiconfigurator's serving points to vLLM's default max_num_seqs.
BATCH_LOW, BATCH_HIGH = 4, 256
CLOSED_PROFILE = "list price"  # of cards that know no engine


@dataclass(frozen=True, slots=True)
class RateCard:
    """A row of gpu_rate_cards, less the times."""

    model: str
    hardware: str
    profile: str
    gpus: int
    precision: str
    method: str
    r_n: float
    r_u: float
    r_c: float
    r_o: float
    r_a: float
    r_k: float
    r_w: float
    x_u: float
    x_o: float
    t_s: float
    dense_share: float
    expert_share: float
    low_factor: float
    high_factor: float
    reference_factor: float
    source: str
    rates_low: tuple[float, ...] = ()  # per n u c o a k, where low_factor is not it
    rates_high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Placement:
    """A row of placements, less the time."""

    priority: int
    host_pattern: str
    model_pattern: str
    model: str
    hardware: str
    profile: str
    batch_low: float
    batch_high: float
    source: str


def rate_cards() -> list[RateCard]:
    """One card for each model on each GPU, on as many GPUs as it needs there, in its released precision."""
    return [modelled_card(model, gpu) for model in models().values() for gpu in hardware().values()]


def closed_cards() -> list[tuple[RateCard, int]]:
    """One card for each list price of each closed model, and the Unix time from which it holds."""
    return [
        (closed_card(model, price), price.since)
        for model in closed_models().values()
        for price in list_prices(model.price_provider, model.price_model)
    ]


def placements(source: str = SOURCE) -> list[Placement]:
    """Where calls go by default."""
    gpu = hardware()[REFERENCE_GPU]
    elsewhere = Placement(NO_GPU_PRIORITY, NO_GPU_HOSTS, "", "", "", "", BATCH_LOW, BATCH_HIGH, source)
    opened = [placement(model, gpu, source, SHIPPED_PRIORITY) for model in models().values()]
    priced = [
        closed_placement(model, source)
        for model in closed_models().values()
        if list_prices(model.price_provider, model.price_model)
    ]
    return [elsewhere, *opened, *priced]


def write(store: Store) -> bool:
    """Writes the catalogue unless this store has it already; says whether it did. May run twice at once."""
    checksum = _checksum()
    if _last_checksum(store) == checksum:
        return False
    source = f"{SOURCE} {checksum[:12]}"
    cards, since = _shipped()
    store.insert("gpu_rate_cards", {**columns(cards), "valid_from": since})
    store.insert("placements", columns(placements(source)))
    store.command(
        "DELETE FROM placements WHERE startsWith(source, {prefix:String}) AND source != {source:String}",
        {"prefix": f"{SOURCE} ", "source": source},
    )
    store.insert("schema_seeds", {"name": [SEED], "checksum": [checksum]})
    return True


def profile_name(gpus: int, precision: str) -> str:
    return f"tp{gpus}-{precision}"


def modelled_card(model: Model, gpu: Hardware) -> RateCard:
    """The card of a model on as many of a GPU as it needs there, in its released precision."""
    gpus = replica_gpus(model, gpu, model.precision)
    found, low_factor, high_factor = _rates_in_windows(model, gpu, gpus)
    return RateCard(
        model=model.name,
        hardware=gpu.name,
        profile=profile_name(gpus, model.precision),
        gpus=gpus,
        precision=model.precision,
        method="modelled",
        r_n=found.r_n,
        r_u=found.r_u,
        r_c=found.r_c,
        r_o=found.r_o,
        r_a=found.r_a,
        r_k=found.r_k,
        r_w=found.r_w,
        x_u=found.x_u,
        x_o=found.x_o,
        t_s=found.t_s,
        dense_share=found.dense_share,
        expert_share=found.expert_share,
        low_factor=LOW_FACTOR * low_factor,
        high_factor=HIGH_FACTOR * high_factor,
        reference_factor=reference_factor(gpu),
        source=f"roofline; {model.source}; {gpu.source}",
    )


def _rates_in_windows(model: Model, gpu: Hardware, gpus: int) -> tuple[Rates, float, float]:
    """The rates, and how much lower and higher they are where layers with a window see none of it, or all.

    The value has half of CONTEXT_TOKENS in them, at most.
    """
    none = rates(model, gpu, gpus, model.precision)
    if not model.windowed_layers:
        return none, 1.0, 1.0

    def seeing(tokens: int) -> Rates:
        return with_windows(none, model, gpu, model.windowed_layers, tokens)

    def over(one: Rates, other: Rates) -> tuple[float, float]:
        """How the prices of an input and of an output token compare, at most in any batch that is shipped."""
        inputs = (one.r_u + gpus * one.x_u) / (other.r_u + gpus * other.x_u)
        return inputs, one.per_output_token(BATCH_HIGH) / other.per_output_token(BATCH_HIGH)

    value, whole = seeing(min(model.window, CONTEXT_TOKENS // 2)), seeing(model.window)
    return value, min(over(none, value)), max(over(whole, value))


def closed_card(model: ClosedModel, price: ListPrice) -> RateCard:
    """The card of a closed model at a list price; its factors tell how far the widest of its bounds reach."""
    bounds, rent = bounds_of(model, price, BATCH_HIGH), cheapest_hour()
    _, r_u, r_c, r_o, _, _ = bounds.value
    spans = [
        (low / value, high / value)
        for low, value, high in zip(bounds.low, bounds.value, bounds.high, strict=True)
        if value
    ]
    return RateCard(
        model=model.name,
        hardware=REFERENCE_GPU,
        profile=CLOSED_PROFILE,
        gpus=1,
        precision="",
        method="price_implied",
        r_n=0.0,
        r_u=r_u,
        r_c=r_c,
        r_o=r_o,
        r_a=0.0,
        r_k=0.0,
        r_w=0.0,
        x_u=0.0,
        x_o=0.0,
        t_s=0.0,
        dense_share=1.0,
        expert_share=1.0,
        low_factor=min(low for low, _ in spans),
        high_factor=max(high for _, high in spans),
        reference_factor=1.0,
        source=f"price of {model.price_provider}/{model.price_model} in genai-prices at "
        f"${rent.usd_per_hour} for an hour of {rent.hardware} ({rent.source}, {rent.read}); {model.source}",
        rates_low=bounds.low,
        rates_high=bounds.high,
    )


def closed_placement(model: ClosedModel, source: str) -> Placement:
    """Calls to a closed model, wherever they go; its rates know no batch."""
    return Placement(
        CLOSED_PRIORITY, "", model.pattern, model.name, REFERENCE_GPU, CLOSED_PROFILE, 1, 1, source
    )


def placement(model: Model, gpu: Hardware, source: str, priority: int) -> Placement:
    """Calls to the model go to that GPU, on as many as it needs, in the shipped range of batches."""
    gpus = replica_gpus(model, gpu, model.precision)
    return Placement(
        priority=priority,
        host_pattern="",
        model_pattern=model.pattern,
        model=model.name,
        hardware=gpu.name,
        profile=profile_name(gpus, model.precision),
        batch_low=BATCH_LOW,
        batch_high=min(BATCH_HIGH, largest_batch(model, gpu, gpus, model.precision)),
        source=source,
    )


def columns(rows: Sequence[RateCard] | Sequence[Placement]) -> dict[str, list[object]]:
    """Rows as the columns that Store.insert takes."""
    return {name: [getattr(row, name) for row in rows] for name in type(rows[0]).__slots__}


def _shipped() -> tuple[list[RateCard], list[int]]:
    """All cards, and since when each holds."""
    cards, closed = rate_cards(), closed_cards()
    return [*cards, *(card for card, _ in closed)], [0] * len(cards) + [since for _, since in closed]


def _checksum() -> str:
    cards, since = _shipped()
    rows = [columns(cards), since, columns(placements())]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _last_checksum(store: Store) -> str | None:
    found = store.query(
        "SELECT argMax(checksum, applied_at) FROM schema_seeds WHERE name = {name:String}", {"name": SEED}
    )
    return found.rows[0][0] or None
