"""A serving point as the terms of its cost: one row of a linear model whose coefficients are the rates.

    GPU-seconds = r_u u + r_o o + r_a a + r_k k + r_w w + x_u (G - 1) u + x_o (G - 1) o + t_s G s

That is DESIGN's formula with communication counted per further GPU of the replica, since one alone has none.
A request of the points has no cached input, so r_c cannot be learned from them, and nothing tells r_n from
the rest; both come from the roofline.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from fanlight_schema.gpu import catalogue, roofline
from fanlight_schema.gpu.features import work
from fanlight_schema.gpu.roofline import Rates

from .points import ServingPoint

Array: TypeAlias = npt.NDArray[np.float64]

TERMS = ("r_u", "r_o", "r_a", "r_k", "r_w", "x_u", "x_o", "t_s")
OF_EACH_FURTHER_GPU = (5, 6, 7)  # the terms that grow with the replica
MANY_GPUS = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """Points with what a fit needs of each, so that parts of them are taken without computing it anew."""

    points: Sequence[ServingPoint]
    rows: Array  # (points, 8): the terms
    seconds: Array  # (points,): GPU-seconds a request
    priors: Array  # (points, 8): the roofline's rates

    def take(self, where: npt.NDArray[np.intp]) -> "Sample":
        return Sample(
            [self.points[i] for i in where], self.rows[where], self.seconds[where], self.priors[where]
        )

    def __len__(self) -> int:
        return len(self.points)


def sample(points: Sequence[ServingPoint]) -> Sample:
    return Sample(
        points,
        np.array([_row(point) for point in points]).reshape(len(points), len(TERMS)),
        np.array([point.gpu_seconds for point in points]),
        np.array([_prior(point) for point in points]).reshape(len(points), len(TERMS)),
    )


def as_rates(coefficients: Array, point: ServingPoint) -> Rates:
    """The rates of a card for replicas like the point's."""
    r_u, r_o, r_a, r_k, r_w, x_u, x_o, t_s = map(float, coefficients)
    share = (point.gpus - 1) / point.gpus
    return replace(
        _roofline(point, point.gpus),
        r_u=r_u,
        r_c=r_k,  # a cached token is read once in prefill as it is in each step of decode
        r_o=r_o,
        r_a=r_a,
        r_k=r_k,
        r_w=r_w,
        x_u=x_u * share,
        x_o=x_o * share,
        t_s=t_s,
    )


def _prior(point: ServingPoint) -> Array:
    """The roofline's rates for the point's model, hardware and precision, shape (8,)."""
    found = _roofline(point, MANY_GPUS)  # x of a replica so large that (G - 1) / G is 1
    return np.array([getattr(found, term) for term in TERMS])


def _row(point: ServingPoint) -> list[float]:
    asked = work(point.input_tokens, 0, point.output_tokens)
    steps = asked.o / point.batch
    read = _roofline(point, point.gpus).weights_read(point.batch)
    further = point.gpus - 1
    return [
        asked.u,
        asked.o,
        asked.a,
        asked.k,
        read * steps,
        further * asked.u,
        further * asked.o,
        point.gpus * steps,
    ]


def _roofline(point: ServingPoint, gpus: int) -> Rates:
    model, gpu = catalogue.models()[point.model], catalogue.hardware()[point.hardware]
    return roofline.rates(model, gpu, gpus, point.precision)
