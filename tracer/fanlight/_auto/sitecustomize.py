"""Loaded by Python at start-up when `fanlight run` has put this folder on PYTHONPATH: switches the tracer on.

A `sitecustomize` that was there before is loaded first, as if this one did not exist. A program whose Python
has no fanlight runs untraced.
"""

import contextlib
import importlib.machinery
import importlib.util
import os
import sys


def _load_hidden_sitecustomize() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    others = [path for path in sys.path if os.path.abspath(path) != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    ours = sys.modules.get("sitecustomize")
    sys.modules["sitecustomize"] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        if ours is not None:
            sys.modules["sitecustomize"] = ours
        raise


def _trace() -> None:
    with contextlib.suppress(ImportError):
        import fanlight

        fanlight.instrument()


try:
    _load_hidden_sitecustomize()
finally:
    _trace()
