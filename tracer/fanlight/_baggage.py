"""An action on its way between processes: W3C `traceparent` and `baggage` headers, written and read.

What comes in is other people's input: it is bounded, decoded once here, and what does not fit its form is
dropped, never an error. https://www.w3.org/TR/baggage/ gives the form and the limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, get_args
from urllib.parse import quote, unquote

from fanlight._cascade import Action, Cascade, live_action, remember
from fanlight_schema import attributes as names
from fanlight_schema.attributes import ActionSource, Origin, Workload

MAX_HEADER_BYTES: Final = 8_192  # W3C Baggage 3.3.2: what a platform must at least propagate
MAX_MEMBERS: Final = 64  # the same
MAX_VALUE_CHARS: Final = 256  # ours, for names and ids; a longer one is cut
MAX_HOP: Final = 10_000  # ours; a deeper claim is not believed

OWN_KEYS: Final = frozenset(
    {
        names.ACTION_ID,
        names.ACTION_NAME,
        names.ACTION_ORIGIN,
        names.ACTION_SOURCE,
        names.WORKLOAD,
        names.HOP,
        names.USER_ID,
        names.SESSION_ID,
    }
)

_ACTION_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_ORIGINS: Final = frozenset(get_args(Origin))
_WORKLOADS: Final = frozenset(get_args(Workload))
_SOURCES: Final = frozenset(get_args(ActionSource))


def parse_baggage(header: str) -> dict[str, str]:
    """The members of a baggage header, decoded; properties are dropped, the first of a key wins."""
    members: dict[str, str] = {}
    for part in header[:MAX_HEADER_BYTES].split(",")[:MAX_MEMBERS]:
        key, found, value = part.split(";", 1)[0].partition("=")
        if found and key.strip():
            members.setdefault(unquote(key.strip()), unquote(value.strip()))
    return members


def format_baggage(members: Iterable[tuple[str, str]]) -> str:
    """A baggage header; members that would exceed the limits are left out, the first ones stay."""
    parts: list[str] = []
    size = 0
    for key, value in members:
        part = f"{quote(key, safe='.-_')}={quote(value, safe='.-_~')}"
        if len(parts) < MAX_MEMBERS and size + len(part) + 1 <= MAX_HEADER_BYTES:
            parts.append(part)
            size += len(part) + 1
    return ",".join(parts)


def members_of(cascade: Cascade) -> list[tuple[str, str]]:
    """What an action sends along, identity first."""
    action = cascade.action
    members = [
        (names.ACTION_ID, action.id),
        (names.ACTION_ORIGIN, action.origin),
        (names.ACTION_SOURCE, action.source),
        (names.WORKLOAD, action.workload),
        (names.HOP, str(cascade.hop)),
    ]
    for key, value in (
        (names.USER_ID, action.user),
        (names.SESSION_ID, action.session),
        (names.ACTION_NAME, action.name),
    ):
        if value is not None:
            members.append((key, value[:MAX_VALUE_CHARS]))
    return members


def cascade_from_members(members: Mapping[str, object]) -> Cascade | None:
    """The cascade that baggage speaks of, or None if it names no action in the right form.

    An action that is alive in this process is the same record, so that a user set on either side is known.
    """
    action_id = members.get(names.ACTION_ID)
    if not isinstance(action_id, str) or not _ACTION_ID.fullmatch(action_id):
        return None
    action = live_action(action_id)
    if action is None:
        action = remember(_action_from_members(action_id, members))
    return Cascade(action, _hop(members))


def _action_from_members(action_id: str, members: Mapping[str, object]) -> Action:
    origin: object = members.get(names.ACTION_ORIGIN)
    source: object = members.get(names.ACTION_SOURCE)
    workload: object = members.get(names.WORKLOAD)
    action = Action(
        action_id,
        _text(members, names.ACTION_NAME),
        user=_text(members, names.USER_ID),
        session=_text(members, names.SESSION_ID),
        remote=True,
    )
    if origin in _ORIGINS:
        action.origin = origin  # type: ignore[assignment]  # just checked against Origin
    if source in _SOURCES:
        action.source = source  # type: ignore[assignment]  # just checked against ActionSource
    if workload in _WORKLOADS:
        action.workload = workload  # type: ignore[assignment]  # just checked against Workload
    return action


def _text(members: Mapping[str, object], key: str) -> str | None:
    value = members.get(key)
    return clean_text(value) if isinstance(value, str) else None


def clean_text(value: str) -> str | None:
    """A name or id that came from outside, without control characters and cut; None if nothing is left."""
    return _CONTROL.sub("", value[: 2 * MAX_VALUE_CHARS])[:MAX_VALUE_CHARS] or None


def _hop(members: Mapping[str, object]) -> int:
    value = members.get(names.HOP)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(MAX_HOP)):
        return min(int(value), MAX_HOP)
    return 0
