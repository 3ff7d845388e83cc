"""Rates from measured points: non-negative least squares on the relative error, with the roofline as prior.

Three levels, each the prior of the next:

1. efficiencies of a backend, from the points of all its models: how much slower than the data sheets each
   term is. They carry over to models and hardware that were never measured.
2. the rates of a group (model, machine, backend, precision), which are those of the level above but for one
   factor, as far as the group's own points do not say otherwise.
3. the rates of one version of the backend in that group, likewise.

A prior is made of points too: it prices the group's own requests on replicas of half, once and twice the
size, so that points of one size alone do not decide what is due to size.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import lsq_linear, nnls

from .terms import OF_EACH_FURTHER_GPU, TERMS, Array, Sample

PRIOR_POINTS = 1.0  # measured points that a prior weighs as much as
LEAST_OF_A_VERSION = 3  # points of a version, below which the group's rates hold for it
EFFICIENCY_TIES = 0.3  # pull of each efficiency to 1, where the points leave it open
EFFICIENCY_RANGE = (0.1, 20.0)  # times the roofline's rate at its default MFU and MBU
ROUNDS = 10  # of reweighting from squares towards absolute errors; they settle in about six
SMALLEST_ERROR = 0.027  # below which a point weighs no more: the median difference of repeats


@dataclass(frozen=True, slots=True)
class Fit:
    """Coefficients of a group (see terms.py), and of each version that has enough points."""

    group: Array
    versions: Mapping[str, Array]

    def of(self, version: str) -> Array:
        return self.versions.get(version, self.group)

    def price(self, sample: Sample) -> Array:
        """GPU-seconds a request, shape (points,)."""
        each = np.array([self.of(point.version) for point in sample.points])
        return np.asarray((sample.rows * each).sum(axis=1))


def efficiencies(sample: Sample) -> Array:
    """How many times the roofline's rates the rates of these points are, term by term; shape (8,)."""
    found = np.ones(len(TERMS))
    if not len(sample):
        return found
    relative = sample.rows * sample.priors / sample.seconds[:, None]
    tie = EFFICIENCY_TIES * np.eye(len(TERMS))
    weights = np.ones(len(sample))
    for _ in range(ROUNDS):
        root = np.sqrt(weights)
        rows = np.vstack([relative * root[:, None], tie])
        found = np.asarray(
            lsq_linear(rows, np.concatenate([root, tie.sum(axis=0)]), bounds=EFFICIENCY_RANGE).x
        )
        weights = _weights(relative @ found)
    return found


def price_unseen(sample: Sample, efficiency: Array) -> Array:
    """GPU-seconds a request of points whose own group has no rates, shape (points,)."""
    return np.asarray((sample.rows * sample.priors) @ efficiency)


def fit(sample: Sample, efficiency: Array) -> Fit:
    """The rates of one group's points. Raises ValueError without points."""
    if not len(sample):
        raise ValueError("a fit needs at least one point")
    of_group = _solve(sample, sample.priors[0] * efficiency)
    versions: dict[str, list[int]] = defaultdict(list)
    for place, point in enumerate(sample.points):
        versions[point.version].append(place)
    enough = {name: places for name, places in versions.items() if len(places) >= LEAST_OF_A_VERSION}
    if len(versions) == 1:
        return Fit(of_group, {})
    return Fit(of_group, {name: _solve(sample.take(np.array(at)), of_group) for name, at in enough.items()})


def _solve(sample: Sample, prior: Array) -> Array:
    rows, relative = sample.rows, sample.rows / sample.seconds[:, None]
    prior = prior * np.median(1 / (relative @ prior))
    assumed = np.vstack([_as_assumed(rows, size, prior) for size in (0.5, 1.0, 2.0)])
    pull = np.sqrt(PRIOR_POINTS / len(assumed))
    weights = np.ones(len(sample))
    unit = np.where(prior > 0, prior, 1e-3 / np.abs(rows).mean(axis=0).clip(1e-300))
    found = prior
    for _ in range(ROUNDS):
        root = np.sqrt(weights)
        stacked = np.vstack([relative * root[:, None], assumed * pull]) * unit
        found = nnls(stacked, np.concatenate([root, np.full(len(assumed), pull)]))[0] * unit
        weights = _weights(relative @ found)
    return found


def _as_assumed(rows: Array, size: float, prior: Array) -> Array:
    """The rows on replicas of another size, each over what the prior says that it costs there."""
    resized = rows.copy()
    resized[:, OF_EACH_FURTHER_GPU] *= size
    return np.asarray(resized / (resized @ prior)[:, None])


def _weights(ratios: Array) -> Array:
    weights = 1 / np.maximum(np.abs(ratios - 1), SMALLEST_ERROR)
    return np.asarray(weights / weights.mean())
