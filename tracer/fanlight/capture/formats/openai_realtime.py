"""OpenAI's realtime API over a websocket: https://platform.openai.com/docs/api-reference/realtime-server-events.

Its events are named like those of the responses API; the details of its usage are named a letter apart.
"""

from __future__ import annotations

from collections.abc import Mapping

from fanlight.capture.answer import Answer
from fanlight.capture.formats.openai import absorb_response
from fanlight.capture.values import count, mapping
from fanlight.capture.wire_format import Fields, WireFormat, endpoint


def absorb_realtime(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what one event says."""
    is_last = absorb_response(answer, body) or body.get("type") == "response.done"
    usage = mapping(mapping(body.get("response")).get("usage"))
    cached = count(mapping(usage.get("input_token_details")).get("cached_tokens"))
    if answer.usage is not None and cached is not None:
        answer.usage = answer.usage._replace(cache_read_tokens=cached)
    return is_last


REALTIME_FORMAT = WireFormat(
    "openai.realtime",
    "openai",
    absorb_realtime,
    Fields(max_tokens=("max_output_tokens", "max_response_output_tokens")),
    text_keys=("delta",),
)
# Not among the endpoints of HTTP: only a websocket leads there.
REALTIME = endpoint("chat", "/realtime", REALTIME_FORMAT, "type")
