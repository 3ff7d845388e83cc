"""Imported for its effect: the helpers of the tests, which are no package, can be imported from here on."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
