"""`make bench-gpu` where there is no GPU: on given times, and its decoder where PyTorch is."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gpu_measure
import gpu_shape
import gpu_verdict
import pytest
from gpu_measure import Plan, Timing

from fanlight_collectors.rates.reading import read_points
from fanlight_schema.gpu import catalogue, roofline
from fanlight_schema.gpu.features import work

BENCH = Path(__file__).resolve().parents[2] / "bench"
MODEL, CHIP = "Llama-3.1-8B", "H100 SXM"
PLAN = Plan(repeats=3)


class Priced:
    """A decoder whose time is what the modelled rates say, times `slower`; the first round is far slower."""

    def __init__(self, slower: float) -> None:
        self.rates = roofline.rates(catalogue.models()[MODEL], catalogue.hardware()[CHIP], 1, "bf16")
        self.slower, self.clock_ms, self.rounds = slower, 0.0, 0

    def resize(self, batch: int, context: int) -> None:
        self.batch, self.context, self.rounds = batch, context, 0

    def prefill(self, tokens: int) -> None:
        self.rounds += 1
        self.length = tokens
        asked = work(tokens, 0, 0)
        self._spend(self.batch * (self.rates.r_u * asked.u + self.rates.r_a * asked.a))

    def step(self) -> None:
        self.length += 1
        assert self.length <= self.context
        token = self.rates.per_output_token(self.batch) + self.rates.r_k * self.length
        self._spend(self.batch * token)

    def _spend(self, seconds: float) -> None:
        self.clock_ms += seconds * 1000 * self.slower * (100 if self.rounds == 1 else 1)

    def timed(self, run: Callable[[], None]) -> float:
        begun = self.clock_ms
        run()
        return self.clock_ms - begun


def timings(slower: float, free: float = 80e9) -> tuple[list[Timing], list[str]]:
    chip, told = Priced(slower), list[str]()
    found = gpu_measure.measure(chip, gpu_shape.LLAMA_8B, PLAN, chip.timed, free, told.append)
    return list(found), told


def test_the_shape_that_is_run_is_the_catalogues_model() -> None:
    model, shape = catalogue.models()[MODEL], gpu_shape.LLAMA_8B
    assert shape.parameters == pytest.approx(model.parameters, rel=1e-3)
    assert shape.kv_bytes == roofline.kv_bytes(model)
    assert (shape.layers, shape.hidden, shape.heads) == (model.layers, model.hidden, model.heads)


def test_rates_from_measured_settings_price_those_left_out(tmp_path: Path) -> None:
    """A chip 1.4 times slower than the model: the warm-up is in no figure, and no time is lost in sharing."""
    found, told = timings(slower=1.4)
    assert (len(found), told) == (20, [])
    (tmp_path / "points.csv").write_text(gpu_verdict.points_csv(found, MODEL, CHIP))
    reading = read_points(tmp_path / "points.csv")
    assert (len(reading.points), reading.left_out.total()) == (20, 0)
    for line in gpu_verdict.left_out(tmp_path / "points.csv"):
        assert line.median < 0.02 < gpu_verdict.ASKED
        assert min(line.baselines.values()) > 0.1
    assert gpu_verdict.unshared_ns(found, MODEL, CHIP) == 0


def test_the_roofline_is_held_against_the_chip() -> None:
    """Modelled over measured is one over how much slower the chip was made."""
    found, _ = timings(slower=1.25)
    for one in gpu_verdict.against_chip(found, MODEL, CHIP):
        assert one.prefill_ratio == pytest.approx(0.8)
        assert one.decode_ratio == pytest.approx(0.8, rel=1e-3)
        assert one.mfu == pytest.approx(roofline.MFU * 0.8)
        assert 0 < one.mbu < roofline.MBU * 0.8  # a step is more than reads


def test_settings_without_room_are_told_and_the_others_measured() -> None:
    # 24 GB: 20.4 less 16.1 of weights leave 4.3 GB, 33,100 tokens of 131,072 bytes
    found, told = timings(slower=1, free=24e9)
    assert [(one.batch, one.prompt) for one in found if one.batch >= 16] == [(16, 256), (16, 1024), (64, 256)]
    assert len(told) == 20 - len(found)
    assert told[0].startswith("16 x 2048: left out")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "H100 SXM"),
        ("NVIDIA H200", "H200 SXM"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA B200", "B200 SXM"),
        ("NVIDIA A100-SXM4-80GB", "A100 SXM 80GB"),
        ("NVIDIA H100 PCIe", None),
        ("NVIDIA A100-SXM4-40GB", None),
        ("Tesla T4", None),
    ],
)
def test_what_cuda_calls_a_gpu_is_a_row_of_the_catalogue_or_none(said: str, name: str | None) -> None:
    assert gpu_shape.chip_name(said) == name


def test_without_pytorch_or_a_gpu_it_is_skipped_with_the_reason() -> None:
    done = subprocess.run(
        [sys.executable, BENCH / "gpu.py"], capture_output=True, text=True, check=False, timeout=60
    )
    if not done.stdout.startswith("skipped: "):
        pytest.skip("there is a GPU here")  # then it measures; the claim is about machines without
    assert (done.returncode, done.stderr) == (0, "")


def test_a_step_fills_the_cache_as_a_longer_prefill_does() -> None:
    torch = pytest.importorskip("torch")
    decoder = gpu_measure.make_decoder(gpu_shape.TINY, "cpu", PLAN)
    caches = []
    for prompt, steps in ((9, 0), (8, 1)):
        decoder.resize(3, 16)
        decoder.prefill(prompt)
        for _ in range(steps):
            decoder.step()
        caches.append(torch.stack(decoder._cache))
    torch.testing.assert_close(*caches)
