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
    by_time: dict[int, ListPrice] = {}
    for one in prices:
        since = _since(getattr(one, "constraint", None))
        uncached, cached, output = (
            _dearest(getattr(one.prices, key)) for key in ("input_mtok", "cache_read_mtok", "output_mtok")
        )
        if uncached is None or output is None:
            return []
        cached = uncached if cached is None else cached
        before = by_time.get(since, ListPrice(since, 0.0, 0.0, 0.0))
        by_time[since] = ListPrice(
            since,
            max(before.uncached, uncached / MILLION),
            max(before.cached, cached / MILLION),
            max(before.output, output / MILLION),
        )
    return [by_time[since] for since in sorted(by_time)]


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
