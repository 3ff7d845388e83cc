"""fanlight: the real fan-out and the GPU-seconds of every user action.

import fanlight
fanlight.instrument()

with fanlight.action("answer_question", user="u-42", session="s-1"):
    with fanlight.agent("planner"):
        client.chat.completions.create(...)
"""

from fanlight._carrier import carrier, resume
from fanlight._instrument import flush, instrument, shutdown, uninstrument, wrap
from fanlight._people import set_session, set_user
from fanlight._runtime import runtime as _runtime
from fanlight._steps import action, agent, tool

__all__ = [
    "action",
    "agent",
    "carrier",
    "flush",
    "instrument",
    "resume",
    "set_session",
    "set_user",
    "shutdown",
    "tool",
    "uninstrument",
    "wrap",
]

__version__ = _runtime.version
