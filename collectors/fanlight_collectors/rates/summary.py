"""What a calibration is worth, as rows of figures: shares between 0 and 1, seconds nowhere."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .evaluation import (
    Group,
    Judged,
    errors,
    judge,
    judge_unseen,
    large,
    median_error,
    others_of,
    with_batch,
)
from .fit import efficiencies, fit
from .points import ServingPoint
from .splits import SPLITS, splits
from .terms import Array, Sample

ACCEPTED = 0.15  # a group's median error that counts as good
BATCH_OFF = 0.25  # how far off a batch is in the trial of a batch that is not well known


@dataclass(frozen=True, slots=True)
class Line:
    """One split: errors of all points, of groups, and the intervals' coverage and median high over low."""

    split: str
    groups: int
    points: int
    median: float
    p90: float
    worst: float
    accepted: float  # share of groups at or below ACCEPTED
    coverage: float
    width: float
    baselines: Mapping[str, float]  # median errors


def summarise(split: str, judged: Sequence[Judged]) -> Line:
    """All groups of a split in one line. Raises ValueError where there are none."""
    if not judged:
        raise ValueError(f"no group can be judged with {split}")
    all_errors = errors(_joined(judged, lambda one: one.ratios))
    of_groups = np.array([one.error for one in judged])
    return Line(
        split,
        len(judged),
        len(all_errors),
        float(np.median(all_errors)),
        float(np.quantile(all_errors, 0.9)),
        float(of_groups.max()),
        float(np.mean(of_groups <= ACCEPTED)),
        float(np.mean(np.concatenate([one.inside for one in judged]))),
        float(np.median(_joined(judged, lambda one: one.widths))),
        {
            way: median_error(np.concatenate([one.baselines[way] for one in judged]))
            for way in judged[0].baselines
        },
    )


def all_splits(
    found: Mapping[Group, Sample], seeds: int, begun: Callable[[str], None]
) -> Iterator[tuple[str, list[Judged]]]:
    """Every split that these points allow, with what it found; `begun` hears of each before it is made."""
    for split in SPLITS:
        begun(split)
        if judged := judge(found, split, seeds):
            yield split, judged
    begun("model left out")
    if unseen := judge_unseen([point for one in found.values() for point in one.points]):
        yield "model left out", unseen


def batch_in_doubt(found: Mapping[Group, Sample], seeds: int) -> dict[str, float]:
    """Median errors on a random half where the batch is known, 25 % off, or unknown (the group's median)."""
    ratios: dict[str, list[Array]] = {"known": [], f"{BATCH_OFF:.0%} off": [], "unknown": []}
    for name, one in large(found).items():
        efficiency = efficiencies(others_of(found, name))
        middle = float(np.median([point.batch for point in one.points]))
        for seed in range(seeds):
            off = np.random.default_rng(seed)
            for fitted, left_out in splits(one, "random half", seed):
                rates, rest = fit(one.take(fitted), efficiency), one.take(left_out)
                ratios["known"].append(rest.seconds / rates.price(rest))
                noisy = with_batch(rest, _off_by(off))
                ratios[f"{BATCH_OFF:.0%} off"].append(rest.seconds / rates.price(noisy))
                ratios["unknown"].append(rest.seconds / rates.price(with_batch(rest, _always(middle))))
    return {case: median_error(np.concatenate(taken)) for case, taken in ratios.items() if taken}


def _off_by(random: np.random.Generator) -> Callable[[ServingPoint], float]:
    return lambda point: point.batch * float(random.lognormal(0.0, BATCH_OFF))


def _always(batch: float) -> Callable[[ServingPoint], float]:
    return lambda _: batch


def _joined(judged: Sequence[Judged], part: Callable[[Judged], Array]) -> Array:
    return np.concatenate([part(one) for one in judged])
