"""Prices work with a rate card: GPU-seconds with their bounds, in Python and as the same SQL.

Rows of requests carry the sums of 18 features: work_n, work_u, work_c, work_o, work_a, work_k as far as
known, and each again with _low and _high for the least and the most that it can have been (features.py). The
table `gpu_rates` has the coefficients for each (model, server_address, valid_from): rates, rates_low and
rates_high, each of n u c o a k in turn, in seconds of the named hardware; times `reference_factor` they are
in seconds of the reference GPU. The batch is in that of o: its low bound takes the placement's largest
batch, its high bound the smallest.

    SELECT {price_sql("", "d", "r")} ...
    FROM demand AS d ASOF LEFT JOIN (SELECT * FROM gpu_rates FINAL) AS r
      ON d.model = r.model AND d.server_address = r.server_address AND d.started_at >= r.valid_from
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from .features import Work, WorkRange
from .roofline import Rates

FEATURES = ("n", "u", "c", "o", "a", "k")
Bound: TypeAlias = Literal["", "_low", "_high"]


@dataclass(frozen=True, slots=True)
class Batch:
    """How many requests are decoded at once on a replica, at least and at most."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """Geometric: the range spans orders of magnitude."""
        return float((self.low * self.high) ** 0.5)


@dataclass(frozen=True, slots=True)
class GpuSeconds:
    """GPU-seconds of the hardware that the rates are for."""

    value: float
    low: float
    high: float


def cost(work: Work, rates: Rates, batch: float) -> float:
    """GPU-seconds of `work` where `batch` requests decode at once."""
    return (
        rates.r_n * work.n
        + (rates.r_u + rates.gpus * rates.x_u) * work.u
        + rates.r_c * work.c
        + rates.per_output_token(batch) * work.o
        + rates.r_a * work.a
        + rates.r_k * work.k
    )


def price(work: WorkRange, rates: Rates, batch: Batch, low_factor: float, high_factor: float) -> GpuSeconds:
    """GPU-seconds with bounds: low is the least work in the largest batch at the fastest rates."""
    return GpuSeconds(
        value=cost(work.value, rates, batch.middle),
        low=low_factor * cost(work.low, rates, batch.high),
        high=high_factor * cost(work.high, rates, batch.low),
    )


def price_sql(bound: Bound = "", work: str = "d", rates: str = "r", *, reference: bool = True) -> str:
    """The SQL of one figure: rates of alias `rates` times sums of alias `work`; NULL where either is NULL."""
    terms = " + ".join(
        f"{rates}.rates{bound}[{place}] * {work}.work_{name}{bound}" for place, name in enumerate(FEATURES, 1)
    )
    known = f"if(empty({rates}.rates{bound}), NULL, {terms})"
    return f"{rates}.reference_factor * {known}" if reference else known


def method_sql(work: str = "d", rates: str = "r") -> str:
    """The SQL of the method: the rate card's, marked where cache reads are unknown; NULL without a rate."""
    return f"concat({rates}.gpu_method, if({work}.work_cache_unknown > 0, '+cache_unknown', ''))"
