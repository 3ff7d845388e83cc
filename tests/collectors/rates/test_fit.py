"""Fits: on points of known rates, and by what has to hold of any."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import serving_points
from fanlight_collectors.rates import evaluation
from fanlight_collectors.rates.evaluation import groups, judge, judge_unseen
from fanlight_collectors.rates.fit import efficiencies, fit, price_unseen
from fanlight_collectors.rates.intervals import interval
from fanlight_collectors.rates.splits import SPLITS, splits
from fanlight_collectors.rates.terms import TERMS, as_rates, sample
from fanlight_schema.gpu.features import work
from fanlight_schema.gpu.pricing import cost
from serving_points import Truth

NONE = sample([])


def test_rates_are_found_again_from_points_that_they_made() -> None:
    measured = sample(serving_points.points(truth=Truth(slower=1.7)))
    fitted = fit(measured, np.ones(len(TERMS)))
    assert fitted.price(measured) == pytest.approx(measured.seconds, rel=1e-3)


@pytest.mark.parametrize("split", SPLITS)
def test_what_was_left_out_is_priced_as_it_was_made(split: str) -> None:
    found = groups(serving_points.points(truth=Truth(slower=2.5, noise=0.02)))
    (judged,) = judge(found, split, seeds=2)
    assert judged.error < 0.04
    assert np.median(evaluation.errors(judged.baselines["no batch"])) > 0.2
    assert np.median(evaluation.errors(judged.baselines["one TPOT a group"])) > 0.2


def test_one_size_of_replica_does_not_decide_what_is_due_to_size() -> None:
    """From points of 8 GPUs alone the prior tells which part of the cost grows with them."""
    measured = serving_points.points(truth=Truth(slower=1.5))
    eight = sample([point for point in measured if point.gpus == 8])
    two = sample([point for point in measured if point.gpus == 2])
    assert fit(eight, efficiencies(NONE)).price(two) == pytest.approx(two.seconds, rel=0.02)


def test_a_version_has_rates_of_its_own_once_it_has_enough_points() -> None:
    slow = serving_points.points(truth=Truth(slower=2), version="old")
    fast = serving_points.points(truth=Truth(slower=1), version="new")
    lone = serving_points.points(truth=Truth(slower=1), version="newer")[:2]
    fitted = fit(sample(slow + fast + lone), efficiencies(NONE))
    assert set(fitted.versions) == {"old", "new"}
    for points in (slow, fast):
        assert fitted.price(sample(points)) == pytest.approx(sample(points).seconds, rel=0.05)


def test_efficiencies_of_other_models_price_one_that_was_never_measured() -> None:
    seen = serving_points.points("Llama-3.1-8B", truth=Truth(slower=1.6)) + serving_points.points(
        "Qwen3-32B", truth=Truth(slower=1.6)
    )
    unseen = sample(serving_points.points("Llama-3.1-70B", truth=Truth(slower=1.6)))
    assert price_unseen(unseen, efficiencies(sample(seen))) == pytest.approx(unseen.seconds, rel=0.1)
    judged = judge_unseen([*seen, *unseen.points])
    assert [one.name for one in judged] == ["Llama-3.1-70B", "Llama-3.1-8B", "Qwen3-32B"]
    assert max(one.error for one in judged) < 0.15


def test_a_model_on_a_machine_that_no_other_was_measured_on_is_not_judged_as_unseen() -> None:
    here = serving_points.points("Llama-3.1-8B")
    elsewhere = serving_points.points("Qwen3-32B", "H200 SXM")
    assert judge_unseen([*here, *elsewhere]) == []


@given(
    coefficients=st.lists(st.floats(0, 1e-3), min_size=len(TERMS), max_size=len(TERMS)),
    place=st.integers(0, 63),
    model=st.sampled_from(["Llama-3.1-8B", "Qwen3-30B-A3B", "DeepSeek-V3"]),
)
def test_a_card_prices_as_the_fit_does(coefficients: list[float], place: int, model: str) -> None:
    """The linear model of the fit and DESIGN's formula are one."""
    point = serving_points.points(model)[place]
    rates = as_rates(np.array(coefficients), point)
    expected = cost(work(point.input_tokens, 0, point.output_tokens), rates, point.batch)
    assert float(sample([point]).rows[0] @ np.array(coefficients)) == pytest.approx(expected)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20)
def test_no_setting_is_on_both_sides_and_levels_are_each_left_out_once(seed: int) -> None:
    twice = sample(serving_points.points(seed=seed) + serving_points.points(seed=seed + 1))
    for split in SPLITS:
        left_out: list[int] = []
        for fitted, rest in splits(twice, split, seed):
            assert {twice.points[i].setting for i in fitted}.isdisjoint(twice.points[i].setting for i in rest)
            assert sorted([*fitted, *rest]) == list(range(len(twice)))
            left_out += list(rest)
        if split != "random half":
            assert sorted(left_out) == list(range(len(twice)))


def test_an_interval_covers_what_is_like_its_residuals_and_no_more() -> None:
    random = np.random.default_rng(7)
    inside = [
        interval(random.lognormal(0, 0.3, 60), np.empty(0)).covers(random.lognormal(0, 0.3, 200)).mean()
        for _ in range(200)
    ]
    assert 0.88 <= np.mean(inside) <= 0.95


def test_an_interval_holds_the_price_itself_and_is_as_wide_as_a_modelled_one_without_residuals() -> None:
    above = interval(np.full(50, 1.5), np.empty(0))
    assert (above.low, above.high) == (1.0, 1.5)
    unknown = interval(np.empty(0), np.empty(0))
    assert unknown.high / unknown.low > 2


def test_a_fit_without_points_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one point"):
        fit(NONE, np.ones(len(TERMS)))
