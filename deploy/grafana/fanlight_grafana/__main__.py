"""Writes the dashboards to the folder `dashboards` beside this package, or to the one that is named."""

import argparse
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from . import actions, fanout, gpu_demand, health, latency

DASHBOARDS = {
    "fanout": fanout.dashboard,
    "gpu-demand": gpu_demand.dashboard,
    "actions": actions.dashboard,
    "latency": latency.dashboard,
    "collector-health": health.dashboard,
}


def text(name: str) -> str:
    """The JSON of one dashboard, as it lies in the folder."""
    made = DASHBOARDS[name]().build()
    for number, panel in enumerate(made.panels or [], start=1):
        panel.id_val = number
    return JSONEncoder(indent=1, sort_keys=True).encode(made) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fanlight_grafana", description=__doc__)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(__file__).resolve().parents[1] / "dashboards"
    )
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in DASHBOARDS:
        (folder / f"{name}.json").write_text(text(name), encoding="utf-8")


if __name__ == "__main__":
    main()
