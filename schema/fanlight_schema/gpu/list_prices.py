"""What a closed model's tokens cost in dollars, and since when: from the package genai-prices.

The package carries its data, so nothing is fetched. Where it is not installed no price is known.

    list_prices("openai", "o3")    # [ListPrice(since=0, ...), ListPrice(since=1749513600, ...)]
"""

from dataclasses import dataclass
from datetime import datetime, time, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo

MILLION = 1e6


@dataclass(frozen=True, slots=True)
class ListPrice:
    """Dollars for one token of each kind, of requests from `since` on (Unix time)."""

    since: int
    uncached: float
    cached: float
    output: float


def list_prices(provider: str, model: str) -> list[ListPrice]:
    """The prices of a model by the time from which they hold; none where input or output has no price.

    Of prices that depend on the length of a prompt or the time of day the dearest counts, so that work is
    bounded whatever the request was. Cheaper tiers of service (batch, flex) are no list price.
    """
    found = _model(provider, model)
    return _periods(found) if found is not None else []


def _model(provider: str, model: str) -> "ModelInfo | None":
    try:
        from genai_prices.data_snapshot import get_snapshot
    except ImportError:
        return None
    for one in get_snapshot().providers:
        if one.id == provider:
            return next((info for info in one.models if info.id == model), None)
    return None


def _periods(info: "ModelInfo") -> list[ListPrice]:
    prices = info.prices if isinstance(info.prices, list) else [info]
    starting: dict[int, ListPrice] = {}
    at_times: list[ListPrice] = []  # of day, whatever the date
    for one in prices:
        constraint = getattr(one, "constraint", None)
        found = _price(_since(constraint), one.prices)
        if found is None:
            return []
        if hasattr(constraint, "start_time"):
            at_times.append(found)
        else:
            starting[found.since] = found
    return [_dearer(starting[since], at_times) for since in sorted(starting)]


def _price(since: int, prices: Any) -> ListPrice | None:
    uncached, cached, output = (
        _dearest(getattr(prices, key)) for key in ("input_mtok", "cache_read_mtok", "output_mtok")
    )
    if uncached is None or output is None:
        return None
    return ListPrice(
        since, uncached / MILLION, (uncached if cached is None else cached) / MILLION, output / MILLION
    )


def _dearer(price: ListPrice, others: list[ListPrice]) -> ListPrice:
    every = [price, *others]
    return ListPrice(
        price.since,
        max(one.uncached for one in every),
        max(one.cached for one in every),
        max(one.output for one in every),
    )


def _since(constraint: object) -> int:
    """Unix time of a start date; 0 where there is none."""
    start = getattr(constraint, "start_date", None)
    return int(datetime.combine(start, time(), timezone.utc).timestamp()) if start else 0


def _dearest(price: Any) -> float | None:
    """Dollars for a million tokens: of a price in steps the highest."""
    if price is None:
        return None
    steps = [price.base, *(tier.price for tier in price.tiers)] if hasattr(price, "tiers") else [price]
    return float(max(steps))
