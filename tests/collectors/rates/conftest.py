"""The modules of tests/bench, which is no package, can be imported by the tests here."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))
