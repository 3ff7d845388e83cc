"""Messages of a websocket that speaks Gemini's Live API. Most carry audio: of those only marks are looked at.

leads_to_live("/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?key=...")
asks(b'{"client_content": {"turns": [], "turn_complete": true}}')
"""

from __future__ import annotations

from collections.abc import Mapping

from fanlight.capture.formats.gemini_live import LIVE
from fanlight.capture.request import Asked, read_request
from fanlight.capture.values import decode_object, mapping

_METHODS = ("BidiGenerateContent", "BidiGenerateContentConstrained")
# JSON of protobuf takes both spellings; the SDK writes the second.
_ASKS = ((b"clientContent", b"client_content"), (b"toolResponse", b"tool_response"))
_SETUP = b'"setup"'
_TURN = (b'"modelTurn"', b'"toolCall"', b'"outputTranscription"')
_NEWS = (b'"usageMetadata"', b'"turnComplete"', b'"interrupted"', b'"toolCall"')


def leads_to_live(target: str) -> bool:
    """Whether a websocket's path and query lead to the Live API."""
    return target.partition("?")[0].rpartition("/")[2].rpartition(".")[2] in _METHODS


def read_setup(data: bytes) -> Asked | None:
    """What a client's message asks of all turns; None if it is not the one that does."""
    message = decode_object(data) if _SETUP in data[:64] else None
    if message is None:
        return None
    asked = read_request(LIVE, "", message)
    model = asked.model.rpartition("/")[2] if asked.model else None
    return Asked(model, True, max_tokens=asked.max_tokens)


def asks(data: bytes) -> bool:
    """Whether a client's message has the model work: a turn that is complete, or the result of a tool."""
    head = data[:64]
    if any(name in head for name in _ASKS[1]):
        return True
    if not any(name in head for name in _ASKS[0]):
        return False
    message: Mapping[str, object] = decode_object(data) or {}
    turn = mapping(message.get("clientContent") or message.get("client_content"))
    return turn.get("turnComplete", turn.get("turn_complete")) is True


def is_of_a_turn(data: bytes) -> bool:
    """Whether a server's message is a part of what the model says."""
    return any(mark in data for mark in _TURN)


def is_only_audio(data: bytes) -> bool:
    """Whether it has nothing but sound in it."""
    return b'"inlineData"' in data and not any(mark in data for mark in (*_NEWS, b'"text"'))


def is_news(data: bytes) -> bool:
    """Whether it says how a turn is, or what it cost."""
    return any(mark in data for mark in _NEWS)
