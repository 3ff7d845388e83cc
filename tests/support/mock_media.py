"""OpenAI's images, audio, moderations and videos for the mock provider, some of which tell tokens.

Shapes follow https://platform.openai.com/docs/api-reference: transcriptions tell tokens, translations do not.
"""

from __future__ import annotations

from collections.abc import Callable

from mock_reply import Json, Reply

ASKED, COST = 14, 45  # tokens, where they are told
_USAGE = {"input_tokens": ASKED, "output_tokens": COST, "total_tokens": ASKED + COST}
_IMAGES = {"created": 1, "data": [{"b64_json": "AAAA"}]}


def told(body: Json) -> Callable[[Json, str], Reply]:
    """An answer that tells its tokens."""
    return lambda asked, path: Reply({**body, "usage": _USAGE}, input_tokens=ASKED, output_tokens=COST)


def untold(body: Json) -> Callable[[Json, str], Reply]:
    """One that does not."""
    return lambda asked, path: Reply(body)


FORMATS: dict[str, Callable[[Json, str], Reply]] = {
    "/images/generations": told(_IMAGES),
    "/images/edits": untold(_IMAGES),
    "/audio/transcriptions": told({"text": "a word"}),
    "/audio/translations": untold({"text": "a word"}),
    "/audio/speech": untold({}),
    "/moderations": untold({"id": "modr-1", "model": "m", "results": []}),
    "/v1/videos": untold({"id": "video_1", "object": "video", "model": "m", "status": "queued"}),
}
