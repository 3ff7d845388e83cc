"""The modelled rates against measured serving points: what roofline.py says about its own error.

The points are silicon_sample.csv of ai-dynamo/aiconfigurator, from FANLIGHT_TEST_DATA (../shared/data unless
set). Truth, in GPU-seconds a request, is (TTFT + (output - 1) TPOT) x GPUs / concurrency, by Little's law.
"""

import csv
import os
import re
import statistics
from dataclasses import dataclass
from pathlib import Path

import pytest

from fanlight_schema.gpu import catalogue, roofline
from fanlight_schema.gpu.catalogue import Precision
from fanlight_schema.gpu.features import work
from fanlight_schema.gpu.pricing import cost

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("FANLIGHT_TEST_DATA", ROOT.parent / "shared/data"))
POINTS = DATA / "serving-aiconfigurator-silicon/silicon_sample.csv"
SYSTEMS = {
    "h100_sxm": "H100 SXM",
    "h200_sxm": "H200 SXM",
    "b200_sxm": "B200 SXM",
    "a100_sxm": "A100 SXM 80GB",
    "l40s": "L40S",
}
PRECISIONS: dict[str, Precision] = {"bf16": "bf16", "fp8": "fp8", "fp4": "fp4"}


@dataclass(frozen=True, slots=True)
class Point:
    model: str
    modelled: float
    measured: float


def gpus_of(row: dict[str, str]) -> int:
    """GPUs of the replica; rows whose tp_size was stored as tp x ep name k x k and mean k."""

    def number(name: str) -> int:
        return int(float(row[name] or 1)) or 1

    tensor, data = number("tp_size"), number("attention_dp_size")
    moe_tensor, moe_expert = number("moe_tp_size"), number("moe_ep_size")
    if moe_tensor == moe_expert > 1 and tensor * data == moe_tensor**2:
        return moe_tensor
    if tensor > 1 and data > 1:
        return tensor
    return max(tensor * data, moe_tensor * moe_expert) * number("pp_size")


def points() -> list[Point]:
    with POINTS.open() as file:
        rows = [
            row for row in csv.DictReader(file) if row["mode"] == "agg" and row["precision"] in PRECISIONS
        ]
    found: list[Point] = []
    for row in rows:
        gpu = catalogue.hardware().get(SYSTEMS.get(row["system"], ""))
        model = next(
            (m for m in catalogue.models().values() if re.search(m.pattern, row["model_path"])), None
        )
        concurrency = re.search(r"concurrency=(\d+)", row["silicon_data_source"])
        if gpu is None or model is None or concurrency is None:
            continue
        batch, gpus = int(concurrency[1]), gpus_of(row)
        prompt, output = int(row["isl"]), int(row["osl"])
        rates = roofline.rates(model, gpu, gpus, PRECISIONS[row["precision"]])
        seconds = (float(row["silicon_ttft_ms"]) + (output - 1) * float(row["silicon_tpot_ms"])) / 1000
        found.append(Point(model.name, cost(work(prompt, 0, output), rates, batch), seconds * gpus / batch))
    return found


@pytest.mark.skipif(not POINTS.is_file(), reason=f"{POINTS} is not here")
def test_modelled_rates_are_as_good_as_they_say_where_batch_and_gpus_are_known() -> None:
    ratios = [point.modelled / point.measured for point in points()]
    errors = sorted(abs(ratio - 1) for ratio in ratios)
    held = [ratio * roofline.LOW_FACTOR <= 1 <= ratio * roofline.HIGH_FACTOR for ratio in ratios]
    assert len(ratios) > 2000
    assert statistics.median(errors) < 0.18
    assert errors[int(0.9 * len(errors))] < 0.51
    assert statistics.mean(held) > 0.94
