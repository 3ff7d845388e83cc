"""Who the running action is for, said as soon as it is known, at any depth."""

from __future__ import annotations

from typing import Final

from fanlight._cascade import action_here
from fanlight._guard import guarded, warn_once
from fanlight._steps import as_text

OUTSIDE: Final = "%s() was called outside any action; call it inside `with fanlight.action(...)`"


@guarded
def set_user(user: str) -> None:
    """The running action is for this user: its root span, and every span that ends from now on, say so.

    Outside any action it holds for the current trace; outside any trace there is nothing that it could hold
    for, and it is left out (logged once).
    """
    action = action_here()
    if action is None:
        warn_once(OUTSIDE, "set_user")
    else:
        action.user = as_text(user)


@guarded
def set_session(session: str) -> None:
    """The running action belongs to this session; as `set_user`."""
    action = action_here()
    if action is None:
        warn_once(OUTSIDE, "set_session")
    else:
        action.session = as_text(session)
