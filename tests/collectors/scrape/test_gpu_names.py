"""What drivers call a GPU, and what the catalogue calls it."""

import pytest

from fanlight_collectors.scrape.readings import gpu_names, hardware_of
from fanlight_schema.gpu import catalogue


@pytest.mark.parametrize(
    ("reported", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "H100 SXM"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA A100-SXM4-80GB", "A100 SXM 80GB"),
        ("NVIDIA A100 80GB PCIe", "A100 PCIe 80GB"),
        ("NVIDIA H200", "H200 SXM"),
        ("NVIDIA B200", "B200 SXM"),
        ("NVIDIA GB200", "GB200"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX PRO 6000 Server"),
        ("AMD Instinct MI300X", "MI300X"),
    ],
)
def test_a_reported_name_is_the_catalogues_gpu(reported: str, name: str) -> None:
    assert hardware_of(reported) == name


@pytest.mark.parametrize(
    "reported", ["NVIDIA A100-SXM4-40GB", "NVIDIA GeForce RTX 4090 Laptop GPU", "NVIDIA L40", "Tesla T4"]
)
def test_another_gpu_of_a_family_keeps_its_own_name(reported: str) -> None:
    assert hardware_of(reported) == reported


def test_every_gpu_of_the_catalogue_can_be_reported() -> None:
    assert {hardware for _, hardware in gpu_names()} == set(catalogue.hardware())
