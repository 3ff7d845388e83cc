"""Which endpoints `fanlight scrape` reads, from a TOML file.

every_s = 5
from_tables = false                      # true: what a Collector's prometheus receiver has written

[[targets]]
url = "http://vllm.serving.svc:8000/metrics"
server_address = "vllm.serving.svc"      # as spans of its callers have it; from the URL without it
model = "Qwen/Qwen3-32B"                 # from its metrics without it
hardware = "H100 SXM"
gpus = ["GPU-8f2c", "GPU-9d1e"]          # of this replica, by UUID; ["pod:vllm-0"]; or their number
region = "eu-west-1"
workload = "serving"                     # serving, rl_rollout, eval, batch, training

[[targets]]
url = "http://dcgm-exporter:9400/metrics"

[[targets]]
nvml = true                              # the GPUs of this machine
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import tomli

from .samples import Place

WORKLOADS: Final = ("serving", "rl_rollout", "eval", "batch", "training")
NVML: Final = "nvml"
POD: Final = "pod:"
DEFAULT_EVERY_S: Final = 5.0
LEAST_EVERY_S: Final = 1.0
_TEXTS: Final = ("server_address", "model", "hardware", "region", "workload")
_KEYS: Final = frozenset({"url", "nvml", "gpus", *_TEXTS})


class ScrapeConfigError(ValueError):
    """All that is wrong with a configuration, one problem a line."""


@dataclass(frozen=True, slots=True)
class ScrapeConfig:
    """What is read, and how often."""

    targets: tuple[Place, ...]
    every_s: float = DEFAULT_EVERY_S
    from_tables: bool = False  # the targets' series are read from the store, not from the targets


def from_file(path: Path) -> ScrapeConfig:
    """The configuration of a file; ScrapeConfigError lists every problem."""
    try:
        told = tomli.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScrapeConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScrapeConfigError(f"{path} is no TOML: {error}") from error
    return from_table(told)


def from_urls(urls: Sequence[str], every_s: float = DEFAULT_EVERY_S) -> ScrapeConfig:
    """Endpoints of which nothing else is known."""
    return from_table({"every_s": every_s, "targets": [{"url": url} for url in urls]})


def from_table(told: Mapping[str, Any]) -> ScrapeConfig:
    problems = [
        f"{key} is no setting; there are every_s, from_tables and targets"
        for key in sorted(told.keys() - {"every_s", "from_tables", "targets"})
    ]
    from_tables = told.get("from_tables", False)
    if not isinstance(from_tables, bool):
        problems.append(f"from_tables is {from_tables!r}; give true or false")
    every_s = told.get("every_s", DEFAULT_EVERY_S)
    if isinstance(every_s, bool) or not isinstance(every_s, int | float) or every_s < LEAST_EVERY_S:
        problems.append(f"every_s is {every_s!r}; give seconds, at least {LEAST_EVERY_S:g}")
    targets = told.get("targets", [])
    if not isinstance(targets, list) or not targets:
        problems.append("there is no target; add [[targets]] with a url, or with nvml = true")
        targets = []
    places = [_place(number, target, problems) for number, target in enumerate(targets, start=1)]
    urls = [place.target for place in places]
    problems += [f"{url} is there twice" for url in sorted({url for url in urls if urls.count(url) > 1})]
    if from_tables and NVML in urls:
        problems.append(
            "nvml is read on its own machine, not from tables; give it to another `fanlight scrape`"
        )
    if problems:
        raise ScrapeConfigError("\n".join(problems))
    return ScrapeConfig(tuple(places), float(every_s), from_tables)


def _place(number: int, told: Mapping[str, Any], problems: list[str]) -> Place:
    where = f"target {number}"
    if unknown := sorted(told.keys() - _KEYS):
        problems.append(f"{where}: {', '.join(unknown)} is no setting; there are {', '.join(sorted(_KEYS))}")
    url = told.get("url", "")
    if told.get("nvml"):
        url = NVML
    elif urlsplit(str(url)).scheme not in ("http", "https"):
        problems.append(f"{where}: url is {url!r}; give an http:// or https:// address, or nvml = true")
    elif "@" in urlsplit(str(url)).netloc:  # it would stand in every sample and in the log
        problems.append(f"{where}: url holds a user or password; give an address without them")
    texts = {key: told.get(key, "") for key in _TEXTS}
    for key, text in texts.items():
        if not isinstance(text, str):
            problems.append(f"{where}: {key} is {text!r}; give text")
    workload = texts.pop("workload") or "serving"
    if workload not in WORKLOADS:
        problems.append(f"{where}: workload is {workload!r}; there are {', '.join(WORKLOADS)}")
    gpus, gpu_ids = _gpus(where, told.get("gpus"), problems)
    texts["server_address"] = texts["server_address"] or _host(str(url))
    return Place(target=str(url), workload=str(workload), gpus=gpus, gpu_ids=gpu_ids, **texts)


def _gpus(where: str, told: object, problems: list[str]) -> tuple[int | None, tuple[str, ...]]:
    """How many GPUs a replica has, and which; a pod does not say how many."""
    if told is None or (isinstance(told, int) and not isinstance(told, bool) and told >= 1):
        return told, ()
    if isinstance(told, list) and told and all(isinstance(one, str) and one for one in told):
        by_pod = any(one.startswith(POD) for one in told)
        return None if by_pod else len(set(told)), tuple(dict.fromkeys(told))
    problems.append(
        f"{where}: gpus is {told!r}; give a whole number, at least 1, or a list of UUIDs, or ['pod:NAME']"
    )
    return None, ()


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
