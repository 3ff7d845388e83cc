"""The anthropic package, traced: a drop-in import.

    from fanlight.anthropic import Anthropic, AsyncAnthropic

Everything here is anthropic's own; the first name that is asked for switches `fanlight.instrument()` on. For
one traced client among others, use `fanlight.wrap(client)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anthropic import *  # noqa: F403  # pyright: ignore[reportWildcardImportFromLibrary]  (what it exports)
else:
    from fanlight._drop_in import become

    become(__name__, "anthropic")
