"""What was said: the messages of a request and the text of its answer, where the app opted in.

    input_messages({"messages": [{"role": "user", "content": "Hello"}]}, Keeper(100))
    == [{"role": "user", "parts": [{"type": "text", "content": "Hello"}]}]

The shape is that of `gen_ai.input.messages` and its neighbours in the OpenTelemetry GenAI conventions. It is
read from the bodies of all wire formats by one walk, since they differ in names only. Files are never kept: a
part that is no text and no tool call says its type and nothing else. Where something was cut, the last part
says how many messages follow that are not kept:

    {"type": "fanlight.cut", "messages": 4021}
"""

from __future__ import annotations

import json
from bisect import bisect_right
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
CUT_PART = "fanlight.cut"  # the conventions' GenericPart: any type, any further members
MAX_WORD_CHARS = 256  # of a role, a type, a tool's name: none of them is cut in practice
MAX_GENERATED_BYTES = (
    256 * 2**10
)  # held of an answer's JSON: 64 KiB as an attribute, with every character escaped
_ESCAPED_CHAR_BYTES = 12  # the most that one character takes in JSON: two escapes of 6 bytes
_RESERVED_BYTES = 64  # of an attribute, for its brackets and for the part that says that it was cut


@dataclass(frozen=True, slots=True)
class ContentPolicy:
    """What the app opted in to."""

    attributes: frozenset[str]
    limit_chars: int
    redact: Redact | None = None


class Keeper:
    """Takes texts until a limit, of characters or of the attribute's bytes, is used up; each is redacted
    before it is cut, and after one that was cut nothing is taken."""

    def __init__(self, limit_chars: int, redact: Redact | None = None, limit_bytes: int = 64 * 2**10) -> None:
        self._left_chars = limit_chars
        self._left_bytes = limit_bytes - _RESERVED_BYTES
        self._redact = redact
        self.full = False

    def holds(self, empty: Message) -> bool:
        """Whether there is room for this message or part, which has no text yet."""
        if not self.full:
            self._left_bytes -= _json_bytes(empty) + 1
            self.full = self._left_bytes < 0
        return not self.full

    def keep(self, text: str) -> str:
        """What is kept of a text; its end says so where it was cut."""
        if self._redact is not None:
            text = self._redact(text) or ""
        if len(text) > min(self._left_chars, self._left_bytes) or _text_bytes(text) > self._left_bytes:
            self.full = True
            text = self._cut(text)
        self._left_chars -= len(text)
        self._left_bytes -= _text_bytes(text)
        return text

    def _cut(self, text: str) -> str:
        if not self._left_chars:
            return ""
        text = text[: min(self._left_chars - len(CUT), self._left_bytes)]
        lengths = range(1, len(text) + 1)
        return text[: bisect_right(lengths, self._left_bytes, key=lambda end: _text_bytes(text[:end]))] + CUT


class GeneratedText:
    """The text of an answer, gathered from strings as they stand in JSON, without their quotes; what comes
    when `limit_bytes` are held is let go."""

    __slots__ = ("_json", "_left_bytes", "cut")

    def __init__(self, limit_bytes: int = MAX_GENERATED_BYTES) -> None:
        self._json = bytearray()
        self._left_bytes = limit_bytes
        self.cut = False

    def add(self, piece: bytes) -> None:
        """Take the next string."""
        if self.cut:
            return
        if len(piece) > self._left_bytes:
            self.cut = True
            piece = escaped(unescaped(piece)[: self._left_bytes // _ESCAPED_CHAR_BYTES])
        self._left_bytes -= len(piece)
        self._json += piece

    def __str__(self) -> str:
        return unescaped(bytes(self._json))


def input_messages(body: Mapping[str, object], keeper: Keeper) -> list[Message]:
    """The messages that a request's body holds."""
    found = next((body[key] for key in _MESSAGE_KEYS if key in body), None)
    entries = found if isinstance(found, list) else [] if found is None else [found]
    messages: list[Message] = []
    for place, entry in enumerate(entries):
        kept = _message(entry, keeper)
        if kept is not None:
            messages.append(kept)
        if keeper.full:
            return _marked(messages, len(entries) - place - (kept is not None))
    return messages


def instructions(body: Mapping[str, object], keeper: Keeper) -> list[Message]:
    """The parts of the instructions that a request's body holds beside its messages."""
    found = next((body[key] for key in _INSTRUCTION_KEYS if key in body), None)
    parts = list(_parts(found, keeper))
    return [*parts, _cut_part(0)] if keeper.full else parts


def output_messages(text: GeneratedText, keeper: Keeper) -> list[Message]:
    """The generated text of an answer, of all its choices."""
    said = str(text)
    messages = (
        [message] if said and (message := _message({"role": "assistant", "text": said}, keeper)) else []
    )
    return _marked(messages, 0) if text.cut or keeper.full else messages


def as_json(messages: list[Message]) -> str:
    """The attribute's value."""
    return _json(messages)


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


def unescaped(string: bytes) -> str:
    """A string as it stands in JSON, without its quotes, as the text that it is."""
    try:
        return str(json.loads(b'"%b"' % string))
    except ValueError:  # cut within an escape
        return string.decode("utf-8", "replace")


def _message(entry: object, keeper: Keeper) -> Message | None:
    if not isinstance(entry, dict | str):
        return None
    role = entry.get("role") if isinstance(entry, dict) else None
    message: Message = {"role": role[:MAX_WORD_CHARS] if isinstance(role, str) else "user", "parts": []}
    if not keeper.holds(message):
        return None
    calls = _tool_calls(entry, keeper) if isinstance(entry, dict) else ()
    message["parts"] = [*_parts(entry, keeper), *calls]
    return message


def _parts(value: object, keeper: Keeper) -> Iterator[Message]:
    if keeper.full:
        return
    if isinstance(value, str):
        part: Message = {"type": "text", "content": ""}
        if keeper.holds(part):
            yield {**part, "content": keeper.keep(value)}
    elif isinstance(value, list):
        for entry in value:
            yield from _parts(entry, keeper)
    elif isinstance(value, dict):
        inner = next((value[key] for key in _PART_KEYS if value.get(key)), None)
        if inner is not None:
            yield from _parts(inner, keeper)
        elif not _is_message(value):
            yield from _other(value, keeper)


def _is_message(value: Mapping[str, object]) -> bool:
    return "role" in value


def _other(part: Mapping[str, object], keeper: Keeper) -> Iterator[Message]:
    """A tool call, or something that is no text, of which only the kind is kept."""
    call = next((part[key] for key in _CALL_KEYS if isinstance(part.get(key), dict)), part)
    if isinstance(call, dict) and isinstance(call.get("name"), str):
        yield from _call(call, keeper)
        return
    kind = part.get("type") or next(iter(part), "other")
    other: Message = {"type": kind[:MAX_WORD_CHARS] if isinstance(kind, str) else "other"}
    if keeper.holds(other):
        yield other


def _tool_calls(message: Mapping[str, object], keeper: Keeper) -> Iterator[Message]:
    calls = message.get("tool_calls")
    for entry in calls if isinstance(calls, list) else ():
        if isinstance(entry, dict):
            yield from _other(entry, keeper)


def _call(call: Mapping[str, object], keeper: Keeper) -> Iterator[Message]:
    part: Message = {"type": "tool_call", "name": str(call["name"])[:MAX_WORD_CHARS], "arguments": ""}
    if keeper.holds(part):
        given = next((call[key] for key in _ARGUMENT_KEYS if key in call), None)
        arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        yield {**part, "arguments": keeper.keep(arguments)}


def _cut_part(messages: int) -> Message:
    return {"type": CUT_PART, "messages": messages}


def _marked(messages: list[Message], left_out: int) -> list[Message]:
    """These, of which the last says that so many more are not kept."""
    for last in messages[-1:]:
        parts = last["parts"]
        assert isinstance(parts, list)
        parts.append(_cut_part(left_out))
    return messages


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _json_bytes(value: object) -> int:
    return len(_json(value).encode("utf-8", "replace"))


def _text_bytes(text: str) -> int:
    """Of a text as it stands in JSON, without its quotes."""
    return _json_bytes(text) - 2
