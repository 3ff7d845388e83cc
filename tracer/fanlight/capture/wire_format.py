"""What a provider's wire format is: how its requests say what they ask, and its answers what they hold.

A `WireFormat` is data and one function; the files of `fanlight.capture.formats` declare one or a few each,
and the endpoints that speak them. The readers of `body`, `sse` and their neighbours work with any of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from fanlight.capture.answer import Answer

Header = Callable[[str], str | None]  # the value of a response's header by its name in lower case


def no_header(name: str) -> str | None:
    """A response without headers."""
    return None


@dataclass(frozen=True, slots=True)
class Fields:
    """Where a request's body says what it asks for; `a.b` is member b of member a, the first found counts."""

    model: tuple[str, ...] = ("model",)
    stream: str = "stream"
    streams_by_default: bool = False
    choices: tuple[str, ...] = ("n",)
    max_tokens: tuple[str, ...] = ("max_tokens",)
    counted: frozenset[str] = field(init=False)  # members of a body that are, or hold, one of these numbers

    def __post_init__(self) -> None:
        names = (*self.choices, *self.max_tokens)
        held_in = (name.partition(".")[0] for name in names)
        object.__setattr__(self, "counted", frozenset((*names, *held_in)))


@dataclass(frozen=True, slots=True, eq=False)
class WireFormat:
    """One way to write requests and answers."""

    name: str
    provider: str  # gen_ai.provider.name of a server that is not known otherwise
    absorb: Callable[[Answer, Mapping[str, object]], bool]  # takes one body or event; True: it is the last
    fields: Fields = field(default_factory=Fields)
    text_keys: tuple[str, ...] = ()  # of the strings in a stream's events that are generated, frequent first
    news_keys: tuple[str, ...] = ()  # an event with one of them, neither null nor false, is decoded
    latest_key: str = ""  # a key that every event may have, of which only the last one matters
    uncounted: tuple[str, ...] = ()  # what an event has in it that repeats text; it is decoded, not counted
    headers: Callable[[Answer, Header], None] | None = None  # takes what the answer's headers say
    beside_array: str = ""  # the member that matters of an answer that is else one large array of numbers


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """One kind of inference endpoint: its operation, the end of its path, and what its request body has."""

    operation: str  # gen_ai.operation.name
    path: str  # `*` is any part; `{model}`, `{model:x}` with x in its name, `{owner/model}`: the model
    format: WireFormat
    keys: frozenset[str] = frozenset()  # one of them is in every body of this kind
    more_keys: frozenset[str] = frozenset()  # and all of these
    streams: bool | None = None  # None: the body says
    inputs: str = ""  # the key of a list, one entry a sequence

    @property
    def is_json(self) -> bool:
        """False where the body is a form with files, which nobody looks into."""
        return bool(self.keys)

    def fits(self, body: Mapping[str, object]) -> bool:
        """True if a JSON body looks like a request to this endpoint."""
        return not self.keys.isdisjoint(body) and self.more_keys <= body.keys()

    def model_in(self, path: str) -> str | None:
        """The model, or Azure's deployment, that a path names."""
        path = plain_path(path)
        if "{" in self.path:
            found = path_pattern(self.path).search(path)
            return unquote(found["model"]) if found else None
        _, found_deployment, rest = path.partition("/deployments/")
        return unquote(rest.partition("/")[0]) or None if found_deployment else None


def plain_path(path: str) -> str:
    """A path from its first slash to its last word; Mistral's SDK marks streams with a fragment."""
    return "/" + path.partition("?")[0].partition("#")[0].strip("/")


_PATTERNS: dict[str, re.Pattern[str]] = {}


def path_pattern(path: str) -> re.Pattern[str]:
    """The end of a path, as `Endpoint.path` writes it, for a search."""
    if path not in _PATTERNS:
        parts = (_part_pattern(part) for part in re.split(r"(\{[^}]*\}|\*)", path))
        _PATTERNS[path] = re.compile("".join(parts) + "$")
    return _PATTERNS[path]


def _part_pattern(part: str) -> str:
    if part == "*":
        return "[^/]+"
    if not part.startswith("{"):
        return re.escape(part)
    if part == "{owner/model}":
        return "(?P<model>[^/]+/[^/]+?)"
    word = re.escape(part[1:-1].partition(":")[2])
    return f"(?P<model>[^/]*{word}[^/]*?)" if word else "(?P<model>[^/]+?)"


def endpoint(
    operation: str,
    path: str,
    wire_format: WireFormat,
    *keys: str,
    also: tuple[str, ...] = (),
    streams: bool | None = None,
    inputs: str = "",
) -> Endpoint:
    """An `Endpoint` whose body has one of `keys` and all that is in `also`."""
    return Endpoint(operation, path, wire_format, frozenset(keys), frozenset(also), streams, inputs)
