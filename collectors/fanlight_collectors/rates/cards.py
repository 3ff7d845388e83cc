"""Rate cards of what was fitted: one row of gpu_rate_cards for each group and each size of its replica."""

from collections.abc import Mapping

import numpy as np

from fanlight_schema.gpu import catalogue, roofline
from fanlight_schema.gpu.seeds import RateCard

from .evaluation import Group, large, others_of
from .fit import efficiencies, fit
from .intervals import Interval, interval
from .points import ServingPoint
from .splits import splits
from .terms import Array, Sample, as_rates


def rate_cards(found: Mapping[Group, Sample], source: str) -> list[RateCard]:
    """A card for every large group and replica size in it, with `source` as where the points are from.

    Its bounds are for a load that was not measured: from points of which a batch or a length was left out.
    """
    ratios = {
        name: _left_out(one, efficiencies(others_of(found, name))) for name, one in large(found).items()
    }
    cards: list[RateCard] = []
    for name in ratios:
        others = [one for other, one in ratios.items() if other != name]
        bounds = interval(ratios[name], np.concatenate(others) if others else np.empty(0))
        cards += _cards(found[name], efficiencies(others_of(found, name)), bounds, source)
    return cards


def profile_of(point: ServingPoint) -> str:
    """What placements call the replica: GPUs, precision, engine; the machine where it is a special one."""
    plain = catalogue.hardware()[point.hardware].name == point.hardware and "pcap" not in point.machine
    return "-".join(
        [
            f"tp{point.gpus}",
            point.precision,
            point.backend.replace(" ", "-"),
            *([] if plain else [point.machine]),
        ]
    )


def _cards(one: Sample, efficiency: Array, bounds: Interval, source: str) -> list[RateCard]:
    fitted = fit(one, efficiency)
    by_size = {point.gpus: point for point in one.points}
    cards = []
    for _, point in sorted(by_size.items()):
        rates = as_rates(fitted.group, point)
        cards.append(
            RateCard(
                model=point.model,
                hardware=point.hardware,
                profile=profile_of(point),
                gpus=point.gpus,
                precision=point.precision,
                method="calibrated",
                r_n=rates.r_n,
                r_u=rates.r_u,
                r_c=rates.r_c,
                r_o=rates.r_o,
                r_a=rates.r_a,
                r_k=rates.r_k,
                r_w=rates.r_w,
                x_u=rates.x_u,
                x_o=rates.x_o,
                t_s=rates.t_s,
                dense_share=rates.dense_share,
                expert_share=rates.expert_share,
                low_factor=bounds.low,
                high_factor=bounds.high,
                reference_factor=roofline.reference_factor(catalogue.hardware()[point.hardware]),
                source=source,
            )
        )
    return cards


def _left_out(one: Sample, efficiency: Array) -> Array:
    ratios = [
        rest.seconds / fit(part, efficiency).price(rest)
        for split in ("batch left out", "lengths left out")
        for part, rest in ((one.take(a), one.take(b)) for a, b in splits(one, split, 0))
    ]
    return np.concatenate(ratios) if ratios else np.empty(0)
