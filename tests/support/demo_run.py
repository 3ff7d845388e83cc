"""A finished run of the demo's agent, as the tests of the command line see it."""

from dataclasses import dataclass
from pathlib import Path

from fanlight_collectors.demo_server import Tally
from running import Up

ACTIONS = 14  # of which one is scheduled


@dataclass(frozen=True, slots=True)
class DemoRun:
    """A running up that holds one run of the agent, and what the server physically received."""

    up: Up
    tally: Tally
    folder: Path
