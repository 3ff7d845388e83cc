"""Values out of somebody else's JSON: what is not of the expected type is not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

# `json.loads` without the five calls around it; typeshed does not know `scan_once`.
_scan: Callable[[str, int], tuple[object, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
MAX_TEXT_CHARS = 2048  # of an ARN (AWS, "Quotas of IAM"), the longest name of a model
MAX_COUNT = 2**32 - 1  # UInt32, the store's columns of tokens
MAX_DURATION = 1e15  # of any unit from ns on; more is no duration


def text(value: object) -> str | None:
    """A string that is not empty, and short enough for a name; of a string that is an Enum too its value."""
    if isinstance(value, str) and 0 < len(value) <= MAX_TEXT_CHARS:
        return value if type(value) is str else str.__str__(value)
    return None


def count(value: object) -> int | None:
    """A whole number from 0, as large as a count can be."""
    return value if type(value) is int and 0 <= value <= MAX_COUNT else None


def seconds(value: object, unit_s: float = 1.0) -> float | None:
    """A duration given in units of `unit_s` seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= MAX_DURATION:
        return value * unit_s
    return None


def added(*counts: int | None) -> int | None:
    """The sum of the counts that are known, or None."""
    known = [number for number in counts if number is not None]
    return sum(known) if known else None


def member(body: Mapping[str, object], dotted: str) -> object:
    """`a.b` is member b of member a; None where one is missing."""
    value: object = body
    for key in dotted.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def mapping(value: object) -> Mapping[str, object]:
    """An object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def decode(body: bytes) -> object:
    """JSON text as what it says, or None if it is none."""
    try:
        written = body.decode()
        found, end = _scan(written, 0)
        if end == len(written):
            return found
    except (ValueError, RecursionError, StopIteration):
        pass
    try:  # space around it, another encoding, or no JSON
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def decode_object(body: bytes) -> Mapping[str, object] | None:
    """JSON text as an object, or None if it is none."""
    decoded = decode(body)
    return decoded if isinstance(decoded, dict) else None


def whole_number(written: str | None) -> int | None:
    """A whole number as a header writes it."""
    return int(written) if written is not None and written.isascii() and written.isdigit() else None


def mappings(value: object) -> list[tuple[int, Mapping[str, object]]]:
    """The objects in a list, each with its place."""
    if not isinstance(value, list):
        return []
    return [(place, entry) for place, entry in enumerate(value) if isinstance(entry, dict)]
