"""Intervals from residuals of points that were left out: measured over priced, as quantiles."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fanlight_schema.gpu.roofline import HIGH_FACTOR, LOW_FACTOR

from .terms import Array

NOMINAL = 0.90
LEAST_RATIOS = 8  # fewer say nothing of a range


@dataclass(frozen=True, slots=True)
class Interval:
    """Factors on a price: low at most 1, high at least 1."""

    low: float
    high: float

    def covers(self, ratios: Array) -> npt.NDArray[np.bool_]:
        """For each measured over priced whether it lies inside."""
        return np.logical_and(ratios >= self.low, ratios <= self.high)


def interval(own: Array, others: Array, nominal: float = NOMINAL) -> Interval:
    """From a group's own ratios and those of other groups, whichever are wider on each side.

    A group's points are alike, so its own ratios alone promise too much for a level that it has not seen.
    """
    enough = [_quantiles(ratios, nominal) for ratios in (own, others) if len(ratios) >= LEAST_RATIOS]
    if not enough:
        return Interval(LOW_FACTOR, HIGH_FACTOR)  # as wide as what is only modelled
    return Interval(min(1.0, *(low for low, _ in enough)), max(1.0, *(high for _, high in enough)))


def _quantiles(ratios: Array, nominal: float) -> tuple[float, float]:
    """The two ratios that enclose a new one of the same kind with at least that probability (conformal)."""
    ordered = np.sort(ratios)
    below = max(0, int(np.floor((len(ordered) + 1) * (1 - nominal) / 2)) - 1)
    return float(ordered[below]), float(ordered[len(ordered) - 1 - below])
