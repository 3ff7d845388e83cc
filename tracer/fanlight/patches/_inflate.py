"""Undoes the content encoding of a body while its bytes pass, for reading only.

gzip and deflate are the standard library's. brotli and zstandard are read if the app has loaded a package
for them: a client that has none did not ask for such an answer.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import Any

from fanlight.patches._call import Inflate

_GZIP = 16 + zlib.MAX_WBITS  # zlib manual, inflateInit2: 16 more is a gzip header
_BROTLI = ("brotli", "brotlicffi")
_ZSTANDARD = ("compression.zstd", "backports.zstd", "zstandard")


def inflate_for(encoding: str) -> Inflate | None:
    """What undoes the value of a `Content-Encoding` header, leaving out what nobody knows, as clients do;
    None if there is nothing to undo."""
    if not encoding:
        return None
    names = [name.strip() for name in encoding.lower().split(",")]
    made = [_UNDO[name]() for name in reversed(names) if name in _UNDO]
    steps = [step for step in made if step is not None]
    if not steps:
        return None

    def inflate(data: bytes) -> bytes:
        for step in steps:
            data = step(data)
        return data

    return inflate


def _gzip() -> Inflate:
    decoder = zlib.decompressobj(_GZIP)

    def inflate(data: bytes) -> bytes:
        nonlocal decoder
        parts = [decoder.decompress(data)]
        while decoder.eof and decoder.unused_data.strip(b"\0"):  # another member follows (RFC 1952, 2.2)
            rest, decoder = decoder.unused_data, zlib.decompressobj(_GZIP)
            parts.append(decoder.decompress(rest))
        return b"".join(parts)

    return inflate


def _deflate() -> Inflate:
    """RFC 9110 wants the zlib format, but some servers send the bare one."""
    decoder: Any = None

    def inflate(data: bytes) -> bytes:
        nonlocal decoder
        if decoder is None and data:
            decoder = zlib.decompressobj(zlib.MAX_WBITS if data[0] & 0x0F == 8 else -zlib.MAX_WBITS)
        return decoder.decompress(data) if decoder is not None else b""

    return inflate


def _loaded(names: tuple[str, ...]) -> Any:
    for name in names:
        module = sys.modules.get(name)
        if module is not None:
            return module
    return None


def _brotli() -> Inflate | None:
    module = _loaded(_BROTLI)
    if module is None:
        return None
    decoder = module.Decompressor()
    return decoder.decompress if hasattr(decoder, "decompress") else decoder.process  # type: ignore[no-any-return]  # foreign


def _zstandard() -> Inflate | None:
    module = _loaded(_ZSTANDARD)
    if module is None:
        return None
    if hasattr(module, "ZstdDecompressor") and not hasattr(module.ZstdDecompressor, "decompressobj"):
        return module.ZstdDecompressor().decompress  # type: ignore[no-any-return]  # foreign
    return module.ZstdDecompressor().decompressobj().decompress  # type: ignore[no-any-return]  # foreign


_UNDO: dict[str, Callable[[], Inflate | None]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstandard,
}
