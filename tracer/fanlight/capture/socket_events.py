"""Events of a websocket that speaks OpenAI's responses or realtime API.

    endpoint = socket_endpoint("/v1/realtime?model=gpt-realtime")
    read_event(b'{"type":"response.done","response":{"id":"resp_1"}}').kind == "response.done"

https://platform.openai.com/docs/guides/websocket-mode and /docs/api-reference/realtime-server-events. Most
events are pieces of an answer: of those no more than the beginning is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from fanlight.capture.endpoints import endpoint_of
from fanlight.capture.formats.openai import RESPONSES
from fanlight.capture.formats.openai_realtime import REALTIME
from fanlight.capture.request import Asked, read_request
from fanlight.capture.values import decode_object, member, text
from fanlight.capture.wire_format import Endpoint

CREATE = "response.create"
CREATED = "response.created"
FINAL = frozenset(
    (
        "response.done",
        "response.completed",
        "response.incomplete",
        "response.failed",
        "response.cancelled",
    )
)
ERROR = "error"
AUDIO = frozenset(("response.output_audio.delta", "response.audio.delta"))

_TYPE_FIRST = re.compile(rb'\s*\{\s*(?:"event_id"\s*:\s*"[^"]*"\s*,\s*)?"type"\s*:\s*"([^"]+)"')


@dataclass(frozen=True, slots=True)
class Event:
    """What an event says of the answer that it is a part of; None where it does not say it."""

    kind: str
    response_id: str | None = None
    lane: str | None = None  # answers on one connection run side by side in lanes (`stream_id`)
    status: int | None = None  # of HTTP, with some errors
    about: str | None = None  # the `event_id` of the client's event that was wrong
    model: str | None = None


def socket_endpoint(target: str) -> Endpoint | None:
    """The endpoint behind a websocket's path and query; None if it is neither of the two."""
    path = target.partition("?")[0].rstrip("/")
    if path.endswith("/realtime"):
        return REALTIME
    found = endpoint_of("POST", path)
    return found if found is not None and found.format is RESPONSES else None


def kind_of(data: bytes) -> str | None:
    """The type of an event; None if it is no JSON object with one."""
    found = _TYPE_FIRST.match(data)
    if found is not None:
        return found[1].decode()
    event = decode_object(data)
    return None if event is None else text(event.get("type"))


def read_event(data: bytes) -> Event | None:
    """An event of a server, decoded; None if it is no JSON object with a type."""
    event = decode_object(data)
    kind = None if event is None else text(event.get("type"))
    if event is None or kind is None:
        return None
    status = event.get("status")
    return Event(
        kind,
        response_id=text(event.get("response_id")) or text(member(event, "response.id")),
        lane=text(event.get("stream_id")),
        status=status if type(status) is int else None,
        about=text(member(event, "error.event_id")),
        model=text(member(event, "response.model")),
    )


@dataclass(frozen=True, slots=True)
class Create:
    """A client's `response.create`."""

    asked: Asked
    lane: str | None
    event_id: str | None


def read_create(data: bytes, endpoint: Endpoint, target: str) -> Create | None:
    """A client's event, if it asks for a response; the realtime API has what is asked for one level below."""
    event = decode_object(data)
    if event is None or event.get("type") != CREATE:
        return None
    nested = event.get("response")
    asked = asked_by(endpoint, target, {**event, **nested} if isinstance(nested, dict) else event)
    return Create(asked, text(event.get("stream_id")), text(event.get("event_id")))


def asked_by(endpoint: Endpoint, target: str, body: Mapping[str, object]) -> Asked:
    """What a response asks for; the model may stand in the connection's query. It is always streamed."""
    asked = read_request(endpoint, target.partition("?")[0], body)
    model = asked.model or _model_in_query(target)
    return Asked(model, True, asked.choices, asked.inputs, asked.max_tokens)


def _model_in_query(target: str) -> str | None:
    query = parse_qs(target.partition("?")[2])
    for name in ("model", "deployment"):
        if name in query:
            return query[name][0]
    return None
