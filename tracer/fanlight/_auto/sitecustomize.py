"""Loaded by Python at start-up where this folder is on PYTHONPATH: switches the tracer on.

`fanlight run` puts it there, and so does a traced process for the programs that it starts. Those wait, at no
cost, until a client that fanlight knows is imported (FANLIGHT_TRACE_ON_IMPORT). A `sitecustomize` that was
there before is loaded first, as if this one did not exist. A program whose Python has no fanlight runs
untraced; one line on stderr says so.
"""

import contextlib
import importlib.machinery
import importlib.util
import os
import sys
from _thread import get_ident  # `threading` would be a start-up cost

# Packages whose modules are patched, as they are imported first; `http.client` is under every client of the
# standard library. A test holds this against what is patched. Agent frameworks stand with their first name:
# most have loaded half of themselves when they import a client.
CLIENTS = (
    "agents",
    "claude_agent_sdk",
    "crewai",
    "langchain_core",
    "langgraph",
    "llama_index",
    "mcp",
    "pydantic_ai",
    "smolagents",
    "openai",
    "anthropic",
    "groq",
    "mistralai",
    "mistralai_azure",
    "mistralai_gcp",
    "cohere",
    "google.genai",
    "httpx",
    "httpx2",
    "aiohttp",
    "requests",
    "urllib3",
    "botocore",
    "aiobotocore",
    "websockets",
    "http.client",
)


_switching_on: "set[int]" = set()  # threads that are inside `_trace`, whose own imports pass


class _FirstClient:
    """A finder that switches the tracer on before the first client is loaded, and is gone then."""

    @classmethod
    def find_spec(
        cls, fullname: str, path: object = None, target: object = None
    ) -> "importlib.machinery.ModuleSpec | None":
        if fullname not in CLIENTS or get_ident() in _switching_on:
            return None
        _switching_on.add(get_ident())
        try:
            _trace()  # a second thread waits in it for the first
        finally:
            _switching_on.discard(get_ident())
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(cls)
        return importlib.util.find_spec(fullname)


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
    with contextlib.suppress(Exception):
        try:
            import fanlight
        except ImportError as error:
            _say_what_is_missing(error)
        else:
            fanlight.instrument()


def _say_what_is_missing(error: ImportError) -> None:
    """Once, in the program that was started: its children are not told to speak."""
    if os.environ.get("FANLIGHT_TRACE_ON_IMPORT"):
        return
    os.environ["FANLIGHT_TRACE_ON_IMPORT"] = "1"
    lack = "no fanlight" if error.name == "fanlight" else f"fanlight, but it cannot be loaded ({error})"
    sys.stderr.write(
        f"fanlight: not tracing: this Python ({sys.executable}) has {lack}; "
        f"install it there: {sys.executable} -m pip install fanlight\n"
    )


try:
    _load_hidden_sitecustomize()
finally:
    if os.environ.get("FANLIGHT_TRACE_ON_IMPORT"):
        sys.meta_path.insert(0, _FirstClient)
    else:
        _trace()
