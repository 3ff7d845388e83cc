"""How far rates are off on points that they were not fitted to, beside two ways that are simpler."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from .fit import efficiencies, fit, price_unseen
from .intervals import Interval, interval
from .points import ServingPoint
from .splits import Split, inner, splits
from .terms import TERMS, Array, Sample, sample

Group: TypeAlias = tuple[str, str, str, str]
LEAST_SETTINGS = 16  # of a group that is judged
SEEDS = 20
ENOUGH_OF_ITS_OWN = 20  # residuals of a group, for an interval of its own; 19 hold one outside of 90 %
NO_BATCH = [TERMS.index(term) for term in ("r_u", "r_o", "r_a", "r_k")]


@dataclass(frozen=True, slots=True)
class Judged:
    """One group's (or model's) points that were left out, over all folds of a split."""

    name: str
    points: int
    ratios: Array  # measured over priced
    inside: npt.NDArray[np.bool_]  # whether the interval of the fold covers the point
    widths: Array  # high over low of that interval
    baselines: Mapping[str, Array]  # measured over priced, by the name of the simpler way

    @property
    def error(self) -> float:
        return median_error(self.ratios)


@dataclass(frozen=True, slots=True)
class _Fold:
    group: Group
    ratios: Array
    own: Array  # ratios of the folds within what was fitted to
    baselines: Mapping[str, Array]


def errors(ratios: Array) -> Array:
    """Relative errors of the price: |priced - measured| / measured."""
    return np.asarray(np.abs(1 / ratios - 1))


def median_error(ratios: Array) -> float:
    return float(np.median(errors(ratios)))


def groups(points: Iterable[ServingPoint]) -> dict[Group, Sample]:
    """The points by what they share rates of; all of them, also groups too small to judge."""
    found: dict[Group, list[ServingPoint]] = defaultdict(list)
    for point in points:
        found[point.group].append(point)
    return {name: sample(found[name]) for name in sorted(found)}


def large(found: Mapping[Group, Sample]) -> dict[Group, Sample]:
    """Those with enough distinct settings to judge rates by."""
    return {
        name: one
        for name, one in found.items()
        if len({point.setting for point in one.points}) >= LEAST_SETTINGS
    }


def judge(found: Mapping[Group, Sample], split: Split, seeds: int = SEEDS) -> list[Judged]:
    """What each large group's rates are worth under a split; groups that it cannot be made of are missing."""
    folds: list[_Fold] = []
    for name, one in large(found).items():
        efficiency = efficiencies(others_of(found, name))
        for seed in range(seeds if split == "random half" else 1):
            for fitted, left_out in splits(one, split, seed):
                folds.append(_fold(name, one.take(fitted), one.take(left_out), efficiency, split, seed))
    return _judged(folds, alike=split == "random half")


def _fold(name: Group, fitted: Sample, left_out: Sample, efficiency: Array, split: Split, seed: int) -> _Fold:
    own = [
        rest.seconds / fit(part, efficiency).price(rest)
        for part, rest in ((fitted.take(a), fitted.take(b)) for a, b in inner(fitted, split, seed))
    ]
    return _Fold(
        name,
        left_out.seconds / fit(fitted, efficiency).price(left_out),
        _joined(own),
        {way: left_out.seconds / price(fitted, left_out) for way, price in BASELINES.items()},
    )


def _judged(folds: Sequence[_Fold], *, alike: bool) -> list[Judged]:
    """`alike`: what is left out is like what is fitted to, so a group's own residuals are enough."""
    found: list[Judged] = []
    for name in sorted({fold.group for fold in folds}):
        mine = [fold for fold in folds if fold.group == name]
        others = _joined(fold.ratios for fold in folds if fold.group != name)
        intervals = [
            interval(fold.own, np.empty(0) if alike and len(fold.own) >= ENOUGH_OF_ITS_OWN else others)
            for fold in mine
        ]
        found.append(_collect(" ".join(name), mine, intervals))
    return found


def _collect(name: str, folds: Sequence[_Fold], intervals: Sequence[Interval]) -> Judged:
    return Judged(
        name,
        sum(len(fold.ratios) for fold in folds),
        np.concatenate([fold.ratios for fold in folds]),
        np.concatenate([one.covers(fold.ratios) for one, fold in zip(intervals, folds, strict=True)]),
        np.concatenate(
            [
                np.full(len(fold.ratios), one.high / one.low)
                for one, fold in zip(intervals, folds, strict=True)
            ]
        ),
        {
            way: np.concatenate([fold.baselines[way] for fold in folds])
            for way in (folds[0].baselines if folds else ())
        },
    )


def judge_unseen(points: Sequence[ServingPoint]) -> list[Judged]:
    """What a backend's efficiencies are worth for a model that none of them is from, on a GPU that one is."""
    by_model: dict[str, list[tuple[_Fold, Interval]]] = defaultdict(list)
    for backend in sorted({point.backend for point in points}):
        of_backend = [point for point in points if point.backend == backend]
        for model in sorted({point.model for point in of_backend}):
            seen = [point for point in of_backend if point.model != model]
            machines = {point.machine for point in seen}
            unseen = [p for p in of_backend if p.model == model and p.machine in machines]
            if not unseen:
                continue
            fitted, left_out = sample(seen), sample(unseen)
            ratios = left_out.seconds / price_unseen(left_out, efficiencies(fitted))
            own = _between_models(seen)
            fold = _Fold((model, "", backend, ""), ratios, own, {})
            by_model[model].append((fold, interval(own, np.empty(0))))
    return [
        _collect(model, [fold for fold, _ in taken], [one for _, one in taken])
        for model, taken in sorted(by_model.items())
    ]


def _between_models(seen: Sequence[ServingPoint]) -> Array:
    """Ratios of each of the models, priced by the others."""
    found = []
    for model in sorted({point.model for point in seen}):
        rest = sample([point for point in seen if point.model != model])
        one = sample([point for point in seen if point.model == model])
        if len(rest):
            found.append(one.seconds / price_unseen(one, efficiencies(rest)))
    return _joined(found)


def _joined(parts: Iterable[Array]) -> Array:
    taken = list(parts)
    return np.concatenate(taken) if taken else np.empty(0)


def others_of(found: Mapping[Group, Sample], name: Group) -> Sample:
    """The points of the backend's other groups, so that nothing of a group is in its own prior."""
    backend = name[2]
    return sample(
        [p for other, one in found.items() if other != name and other[2] == backend for p in one.points]
    )


def with_batch(one: Sample, change: Callable[[ServingPoint], float]) -> Sample:
    """The same requests, priced as if that many had been decoded at once."""
    changed = [replace(point, batch=max(1, round(change(point)))) for point in one.points]
    return replace(sample(changed), seconds=one.seconds)


def _one_tpot(fitted: Sample, left_out: Sample) -> Array:
    """One time per output token for the group, shared by the batch."""

    def shared(one: Sample) -> Array:
        return np.array([p.gpus * p.output_tokens / p.batch for p in one.points])

    return np.asarray(shared(left_out) * np.median(fitted.seconds / shared(fitted)))


def _no_batch(fitted: Sample, left_out: Sample) -> Array:
    """Tokens and attention alone: rates that know of no batch and no replica."""
    rows = fitted.rows[:, NO_BATCH]
    unit = 1 / rows.mean(axis=0)
    found = nnls(rows * unit / fitted.seconds[:, None], np.ones(len(fitted)))[0] * unit
    return np.asarray(np.maximum(left_out.rows[:, NO_BATCH] @ found, 1e-300))


BASELINES: Mapping[str, Callable[[Sample, Sample], Array]] = {
    "one TPOT a group": _one_tpot,
    "no batch": _no_batch,
}
