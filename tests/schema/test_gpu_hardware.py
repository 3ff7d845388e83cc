"""The catalogue's hardware: units, plausibility and sources."""

import pytest

from fanlight_schema.gpu import catalogue

ASKED = [
    *("A100 SXM 80GB", "H100 SXM", "H200 SXM", "B200 SXM", "B300 SXM", "GB200", "GB300", "MI300X", "MI325X"),
    *("MI355X", "L4", "L40S", "RTX 4090", "RTX 5090", "RTX PRO 6000 Server"),
]


def test_the_gpus_that_models_are_served_on_are_known() -> None:
    assert set(ASKED) <= set(catalogue.hardware())


@pytest.mark.parametrize("gpu", catalogue.hardware().values(), ids=lambda gpu: gpu.name)
def test_a_gpus_figures_are_dense_and_in_their_units(gpu: catalogue.Hardware) -> None:
    assert 1e14 < gpu.bf16_flops < 1e16
    for wider, narrower in ((gpu.bf16_flops, gpu.fp8_flops), (gpu.fp8_flops, gpu.fp4_flops)):
        if wider is not None and narrower is not None:
            assert 1.99 * wider <= narrower <= 4.01 * wider
    if gpu.sparse_bf16_flops is not None:
        assert gpu.bf16_flops <= 0.501 * gpu.sparse_bf16_flops
    assert 2e11 < gpu.bandwidth < 2e13
    assert 2e10 < gpu.memory < 1e12
    assert 60 <= gpu.power_w <= 2000
    assert gpu.server_power_w is None or 1.1 * gpu.power_w < gpu.server_power_w < 3 * gpu.power_w
    assert 0.05 < gpu.memory / gpu.bandwidth * 10 < 1  # it reads its memory 10 to 200 times a second
    assert gpu.source


@pytest.mark.parametrize("one", catalogue.accelerators().values(), ids=lambda one: one.name)
def test_what_is_no_gpu_has_a_unit_of_its_own_and_no_rate_card(one: catalogue.Accelerator) -> None:
    assert one.name not in catalogue.hardware()
    assert one.unit.endswith("-second")
    assert not one.unit.startswith("GPU")
    assert one.source.startswith("https://")
    assert all(
        figure is None or figure > 0
        for figure in (one.bf16_flops, one.fp8_flops, one.bandwidth, one.memory, one.power_w)
    )
