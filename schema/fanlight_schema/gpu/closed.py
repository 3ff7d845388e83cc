"""Closed models, and open ones whose shapes are not counted: what bounds their GPU-seconds from outside.

From above the list price: nobody sells GPU time below what it costs, so a request kept a GPU busy for no
longer than its price would rent one. From below the least that the published guesses of the model's size
allow: the arithmetic of the smallest in fp8, and one read of its weights shared by the largest batch.

Both are in seconds of the reference GPU, whatever the model runs on. Between them nothing is known; the
value is the geometric middle, or half the upper bound where nothing bounds the work from below, and means
nothing without its bounds. The guesses' upper ends bound nothing: they say nothing of attention and caches.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from .catalogue import REFERENCE_GPU, WEIGHT_BYTES, hardware, models
from .list_prices import ListPrice
from .roofline import MBU_RANGE, MFU_RANGE, kv_bytes

# What makers and gateways put before a name and behind it: regions, dates, versions, previews.
BEFORE = "(^|[/.])"
DATES = r"\d{4}-\d\d-\d\d|20\d{6}|\d\d-20\d\d|\d\d-\d\d|00\d|exp-\d{4}"
BEHIND = rf"([-@:](latest|preview|exp|v\d+(:\d+)?|{DATES}))*$"
RATES = ("n", "u", "c", "o", "a", "k")  # the order of a card's bounds


@dataclass(frozen=True, slots=True)
class ClosedModel:
    """A closed model: where its price is found, and the range of its size that somebody published."""

    name: str
    pattern: str  # finds its spellings in model names (RE2)
    price_provider: str  # of genai-prices
    price_model: str
    parameters: tuple[float, float] | None  # at least, at most; None if nobody published a guess
    active_parameters: tuple[float, float] | None
    source: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """Rates of GPU-seconds per request, uncached, cached and output token, token pair and token-step."""

    low: tuple[float, ...]
    value: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class GpuPrice:
    """What an hour of a GPU is rented for."""

    hardware: str
    usd_per_hour: float
    read: str  # the date
    source: str


@cache
def closed_models() -> dict[str, ClosedModel]:
    """All closed models by name."""
    return {model.name: model for model in map(_closed, _rows("closed_models.csv"))}


@cache
def cheapest_hour() -> GpuPrice:
    """The lowest rent of the reference GPU: the cheaper the GPU, the more of it a price can have paid."""
    rents = [
        GpuPrice(row["hardware"], float(row["usd_per_hour"]), row["read"], row["source"])
        for row in _rows("gpu_prices.csv")
    ]
    return min((one for one in rents if one.hardware == REFERENCE_GPU), key=lambda one: one.usd_per_hour)


def bounds_of(model: ClosedModel, price: ListPrice, batch: float) -> Bounds:
    """The bounds of a model's rates at a list price, where at most `batch` requests decode at once.

    Where the price of a token lies below the least that the guess allows, the two contradict each other and
    the interval spans both.
    """
    pairs = list(zip(least(model, batch), most(price), strict=True))
    low = tuple(min(pair) for pair in pairs)
    high = tuple(max(pair) for pair in pairs)
    value = tuple((a * b) ** 0.5 if a > 0 else b / 2 for a, b in zip(low, high, strict=True))
    return Bounds(low, value, high)


def most(price: ListPrice) -> tuple[float, ...]:
    """What the price would rent, as rates: all that a request makes an engine do is in its tokens' price."""
    second = cheapest_hour().usd_per_hour / 3600
    return (0.0, price.uncached / second, price.cached / second, price.output / second, 0.0, 0.0)


def least(model: ClosedModel, batch: float) -> tuple[float, ...]:
    """The least that the guess allows, as rates: 0 without one.

    A decode step reads at least the weights that one token goes through, in the smallest format in use; a
    cached token is read in prefill, and no open model of the catalogue keeps fewer bytes of it.
    """
    if model.active_parameters is None:
        return (0.0,) * len(RATES)
    gpu, active = hardware()[REFERENCE_GPU], model.active_parameters[0]
    memory = gpu.bandwidth * MBU_RANGE[1]
    token = 2 * active / (gpu.flops("fp8") * MFU_RANGE[1])
    step = active * min(WEIGHT_BYTES.values()) / memory
    cached = min(kv_bytes(one, of_each=1) for one in models().values()) / memory
    return (0.0, token, cached, token + step / batch, 0.0, 0.0)


def _rows(file: str) -> list[dict[str, str]]:
    text = (resources.files("fanlight_schema.gpu") / file).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _closed(row: dict[str, str]) -> ClosedModel:
    return ClosedModel(
        name=row["model"],
        pattern=f"(?i){BEFORE}({row['names']}){BEHIND}",
        price_provider=row["price_provider"],
        price_model=row["price_model"],
        parameters=_range(row["parameters_low_b"], row["parameters_high_b"]),
        active_parameters=_range(row["active_low_b"], row["active_high_b"]),
        source=row["source"],
    )


def _range(low: str, high: str) -> tuple[float, float] | None:
    return (float(low) * 1e9, float(high) * 1e9) if low else None
