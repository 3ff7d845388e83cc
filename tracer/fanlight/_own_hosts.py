"""Which hosts are the user's own: the only ones that trace context is ever sent to.

own_host("*.svc.cluster.local").matches("tools.svc.cluster.local", None)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ENTRY = re.compile(
    r"(?P<below>\*\.)?(?P<name>\[[0-9a-f:.]+\]|[^\s*/@:\[\]]+)(:(?P<port>\d{1,5}))?", re.ASCII
)
_DEFAULT_PORTS = (80, 443)  # of http and https, where a URL names none


@dataclass(frozen=True, slots=True)
class OwnHost:
    """One entry of the list: a host, or every host below a domain, at any port or at one."""

    name: str
    below: bool  # written `*.name`
    port: int | None

    def matches(self, host: str, port: int | None) -> bool:
        if self.port is not None and self.port != port and (port or self.port not in _DEFAULT_PORTS):
            return False
        return host.endswith(f".{self.name}") if self.below else host == self.name


def own_host(text: str) -> OwnHost | None:
    """An entry as it is written, or None if it is none: a URL, or a `*` that would name everybody."""
    match = _ENTRY.fullmatch(text.lower())
    if match is None:
        return None
    port = match["port"]
    return OwnHost(match["name"].strip("[]"), match["below"] is not None, int(port) if port else None)
