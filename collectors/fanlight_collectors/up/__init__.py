"""`fanlight up`: the OTLP receiver, the store and its SQL behind one address, in one process.

raise SystemExit(run_up(UpConfig.from_environment()))
"""

from fanlight_collectors.up.serve import run_up

__all__ = ["run_up"]
