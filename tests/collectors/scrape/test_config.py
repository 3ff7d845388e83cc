"""A configuration names its targets; all that is wrong with one is told at once, with what to do."""

from pathlib import Path

import pytest
import tomli

from fanlight_collectors.scrape import config
from fanlight_collectors.scrape.samples import Place

WHOLE = """
every_s = 2

[[targets]]
url = "http://vllm.serving.svc:8000/metrics"
model = "Qwen/Qwen3-32B"
hardware = "H100 SXM"
gpus = 2
region = "eu-west-1"
workload = "eval"

[[targets]]
nvml = true
"""


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "scrape.toml").write_text(WHOLE)
    found = config.from_file(tmp_path / "scrape.toml")
    assert found == config.ScrapeConfig(
        (
            Place(
                "http://vllm.serving.svc:8000/metrics",
                "vllm.serving.svc",
                "Qwen/Qwen3-32B",
                "H100 SXM",
                2,
                "eu-west-1",
                "eval",
            ),
            Place("nvml"),
        ),
        2.0,
    )


@pytest.mark.parametrize(
    ("told", "gpus", "gpu_ids"),
    [
        ("4", 4, ()),
        ("['GPU-a', 'GPU-b/1', 'GPU-a']", 2, ("GPU-a", "GPU-b/1")),
        ("['pod:vllm-0']", None, ("pod:vllm-0",)),
    ],
)
def test_gpus_are_a_number_or_names(told: str, gpus: int | None, gpu_ids: tuple[str, ...]) -> None:
    found = config.from_table(tomli.loads(f"[[targets]]\nurl = 'http://a/m'\ngpus = {told}"))
    assert (found.targets[0].gpus, found.targets[0].gpu_ids) == (gpus, gpu_ids)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["there is no target; add [[targets]]"]),
        ("every = 3", ["every is no setting", "there is no target"]),
        ("every_s = 0", ["every_s is 0; give seconds, at least 1"]),
        ("[[targets]]\nurl = 'vllm:8000'", ["target 1: url is 'vllm:8000'; give an http://"]),
        ("[[targets]]\nurl = 'http://a/m'\ngpu = 2", ["target 1: gpu is no setting; there are gpus"]),
        ("[[targets]]\nurl = 'http://a/m'\ngpus = 0", ["gpus is 0; give a whole number"]),
        (
            "[[targets]]\nurl = 'http://a/m'\ngpus = []",
            ["gpus is []; give a whole number, at least 1, or a list"],
        ),
        ("[[targets]]\nurl = 'http://a/m'\ngpus = ['']", ["gpus is ['']; give a whole number"]),
        ("[[targets]]\nurl = 'http://a/m'\nworkload = 'chat'", ["workload is 'chat'; there are serving"]),
        ("[[targets]]\nurl = 'http://a/m'\n[[targets]]\nurl = 'http://a/m'", ["http://a/m is there twice"]),
        ("[[targets]]\nurl = 'http://me:secret@a/m'", ["target 1: url holds a user or password"]),
        ("targets = [", ["is no TOML"]),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, said: list[str]) -> None:
    (tmp_path / "scrape.toml").write_text(text)
    with pytest.raises(config.ScrapeConfigError) as wrong:
        config.from_file(tmp_path / "scrape.toml")
    assert all(part in str(wrong.value) for part in said)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(config.ScrapeConfigError, match="cannot be read: No such file"):
        config.from_file(tmp_path / "none.toml")
