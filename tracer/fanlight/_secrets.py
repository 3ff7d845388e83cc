"""Texts that others wrote, without the keys that they may quote: exception messages, settings that are wrong.

    without_secrets("401 for url 'https://me:pw@host/v1?key=AIzaSy...'") == "401 for url 'https://…@host/v1?…'"

What a key looks like is nobody's rule. Left out is what URLs have for it, what follows the name of a scheme,
and every long run of letters and digits: better an id too few in a message than a key too many.
"""

from __future__ import annotations

import re
from typing import Final

GONE: Final = "…"
MAX_CHARS: Final = 2**16  # ours; what is longer is cut before it is searched

_SECRETS: Final = re.compile(
    r"(?<=://)[^\s/@'\"]+(?=@)"  # a login in a URL
    r"|(?<=\?)[^\s?'\"<>()]*=[^\s'\"<>()]*"  # a query
    r"|(?i:(?<=\bbasic )|(?<=\bbearer ))[^\s'\",]+"
    r"|\b(?:sk|pk|rk)-[^\s'\",]+"  # as OpenAI and those after it write keys
    # only from where a run begins: from each of its characters would take the square of its length
    r"|(?<![\w+=-])(?=[\w+=-]*\d)(?=[\w+=-]*[A-Za-z])[\w+=-]{20,}"
)


def without_secrets(text: str) -> str:
    """The text with what looks like a key left out."""
    return _SECRETS.sub(GONE, text[:MAX_CHARS])
