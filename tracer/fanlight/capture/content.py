"""What was said: the messages of a request and the text of its answer, where the app opted in.

    input_messages({"messages": [{"role": "user", "content": "Hello"}]}, Keeper(100))
    == [{"role": "user", "parts": [{"type": "text", "content": "Hello"}]}]

The shape is that of `gen_ai.input.messages` and its neighbours in the OpenTelemetry GenAI conventions. It is
read from the bodies of all wire formats by one walk, since they differ in names only. Files are never kept: a
part that is no text and no tool call says its type and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

Redact = Callable[[str], "str | None"]  # gives what may be kept of a text; None keeps nothing of it
Message = dict[str, object]

# Where a request's body has its messages and its instructions, in any wire format.
_MESSAGE_KEYS = (
    "messages",
    "input",
    "contents",
    "prompt",
    "message",
    "inputs",
    "texts",
    "query",
    "documents",
)
_INSTRUCTION_KEYS = ("system", "instructions", "systemInstruction", "system_instruction", "preamble")
_PART_KEYS = ("content", "parts", "text")
_CALL_KEYS = ("function", "toolUse", "functionCall")
_ARGUMENT_KEYS = ("arguments", "input", "args")
CUT = "…"


@dataclass(frozen=True, slots=True)
class ContentPolicy:
    """What the app opted in to."""

    attributes: frozenset[str]
    limit_chars: int
    redact: Redact | None = None


class Keeper:
    """Takes texts until a limit of characters is used up; each is redacted before it is cut."""

    def __init__(self, limit_chars: int, redact: Redact | None = None) -> None:
        self._left = limit_chars
        self._redact = redact

    def keep(self, text: str) -> str:
        """What is kept of a text; its end says so where it was cut."""
        if self._redact is not None:
            text = self._redact(text) or ""
        if len(text) > self._left:
            text = text[: max(self._left - len(CUT), 0)] + CUT if self._left else ""
        self._left -= len(text)
        return text


def input_messages(body: Mapping[str, object], keeper: Keeper) -> list[Message]:
    """The messages that a request's body holds."""
    found = next((body[key] for key in _MESSAGE_KEYS if key in body), None)
    return list(_messages(found, keeper))


def instructions(body: Mapping[str, object], keeper: Keeper) -> list[Message]:
    """The parts of the instructions that a request's body holds beside its messages."""
    found = next((body[key] for key in _INSTRUCTION_KEYS if key in body), None)
    return list(_parts(found, keeper))


def output_messages(text: str, keeper: Keeper) -> list[Message]:
    """The generated text of an answer, of all its choices."""
    return [{"role": "assistant", "parts": [{"type": "text", "content": keeper.keep(text)}]}] if text else []


def as_json(messages: list[Message]) -> str:
    """The attribute's value."""
    return json.dumps(messages, ensure_ascii=False, separators=(",", ":"))


def generated_text(value: object, keys: tuple[str, ...]) -> Iterator[str]:
    """The strings under any of these keys, wherever they stand in an answer's body."""
    if isinstance(value, list):
        for entry in value:
            yield from generated_text(entry, keys)
    elif isinstance(value, dict):
        for key, entry in value.items():
            if key in keys and isinstance(entry, str):
                yield entry
            else:
                yield from generated_text(entry, keys)


def escaped(text: str) -> bytes:
    """A text as it stands in JSON, without its quotes."""
    return json.dumps(text)[1:-1].encode()


def unescaped(pieces: list[bytes]) -> str:
    """Strings as they stand in JSON, without their quotes, as the text that they are."""
    try:
        return "".join(json.loads(b'"%b"' % piece) for piece in pieces)
    except ValueError:  # cut within an escape
        return b"".join(pieces).decode("utf-8", "replace")


def _messages(value: object, keeper: Keeper) -> Iterator[Message]:
    entries = value if isinstance(value, list) else [] if value is None else [value]
    for entry in entries:
        if isinstance(entry, dict):
            role = entry.get("role")
            parts = [*_parts(entry, keeper), *_tool_calls(entry, keeper)]
            yield {"role": role if isinstance(role, str) else "user", "parts": parts}
        elif isinstance(entry, str):
            yield {"role": "user", "parts": [_text(entry, keeper)]}


def _parts(value: object, keeper: Keeper) -> Iterator[Message]:
    if isinstance(value, str):
        yield _text(value, keeper)
    elif isinstance(value, list):
        for entry in value:
            yield from _parts(entry, keeper)
    elif isinstance(value, dict):
        inner = next((value[key] for key in _PART_KEYS if value.get(key)), None)
        if inner is not None:
            yield from _parts(inner, keeper)
        elif not _is_message(value):
            yield _other(value, keeper)


def _is_message(value: Mapping[str, object]) -> bool:
    return "role" in value


def _other(part: Mapping[str, object], keeper: Keeper) -> Message:
    """A tool call, or something that is no text, of which only the kind is kept."""
    call = next((part[key] for key in _CALL_KEYS if isinstance(part.get(key), dict)), part)
    if isinstance(call, dict) and isinstance(call.get("name"), str):
        return _call(call, keeper)
    kind = part.get("type") or next(iter(part), "other")
    return {"type": kind if isinstance(kind, str) else "other"}


def _tool_calls(message: Mapping[str, object], keeper: Keeper) -> Iterator[Message]:
    calls = message.get("tool_calls")
    for entry in calls if isinstance(calls, list) else ():
        if isinstance(entry, dict):
            yield _other(entry, keeper)


def _call(call: Mapping[str, object], keeper: Keeper) -> Message:
    given = next((call[key] for key in _ARGUMENT_KEYS if key in call), None)
    arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    return {"type": "tool_call", "name": call["name"], "arguments": keeper.keep(arguments)}


def _text(text: str, keeper: Keeper) -> Message:
    return {"type": "text", "content": keeper.keep(text)}
