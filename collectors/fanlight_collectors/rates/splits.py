"""How points are left out, to see what rates are worth on what they were not fitted to."""

from collections.abc import Callable, Hashable, Iterator
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from .points import ServingPoint
from .terms import Sample

Places: TypeAlias = npt.NDArray[np.intp]
Split: TypeAlias = Literal["random half", "batch left out", "lengths left out", "GPUs left out"]
SPLITS: tuple[Split, ...] = ("random half", "batch left out", "lengths left out", "GPUs left out")
LEAST_TO_FIT = 3  # points
FOLDS = 5  # of the points that a random half is fitted to, for its residuals

_LEVELS: dict[Split, Callable[[ServingPoint], Hashable]] = {
    "batch left out": lambda point: point.batch,
    "lengths left out": lambda point: (point.input_tokens, point.output_tokens),
    "GPUs left out": lambda point: point.gpus,
}


def splits(sample: Sample, split: Split, seed: int) -> Iterator[tuple[Places, Places]]:
    """Places to fit to and places that are left out. Repeats of a setting are never on both sides.

    A random half is one pair a seed; the others leave each level out in turn and take no seed.
    """
    if split == "random half":
        yield from _parts(sample, 2, seed, only_first=True)
    else:
        yield from _each_left_out([_LEVELS[split](point) for point in sample.points])


def inner(sample: Sample, split: Split, seed: int) -> Iterator[tuple[Places, Places]]:
    """The same kind of split within what is fitted to; its residuals say how wide an interval has to be."""
    if split == "random half":
        yield from _parts(sample, FOLDS, seed, only_first=False)
    else:
        yield from splits(sample, split, seed)


def _parts(sample: Sample, count: int, seed: int, *, only_first: bool) -> Iterator[tuple[Places, Places]]:
    settings = sorted({point.setting for point in sample.points}, key=repr)
    order = np.random.default_rng(seed).permutation(len(settings))
    part_of = {settings[place]: turn % count for turn, place in enumerate(order)}
    parts = np.array([part_of[point.setting] for point in sample.points])
    for part in range(1 if only_first else count):
        yield from _pair(parts != part)


def _each_left_out(levels: list[Hashable]) -> Iterator[tuple[Places, Places]]:
    numbers = {level: number for number, level in enumerate(sorted(set(levels), key=repr))}
    of_each = np.array([numbers[level] for level in levels])
    for number in numbers.values():
        yield from _pair(of_each != number)


def _pair(fitted: npt.NDArray[np.bool_]) -> Iterator[tuple[Places, Places]]:
    if fitted.sum() >= LEAST_TO_FIT and not fitted.all():
        yield np.flatnonzero(fitted), np.flatnonzero(~fitted)
