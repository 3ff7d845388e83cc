"""Sizes as people say them: 64 MiB instead of 67108864 bytes."""

KIB, MIB, GIB = 2**10, 2**20, 2**30


def size_text(size_bytes: int) -> str:
    """A size in the largest binary unit that it reaches, with at most one decimal.

    >>> size_text(67_108_864), size_text(1_310_720), size_text(1_536), size_text(900), size_text(5 * 2**30)
    ('64 MiB', '1.2 MiB', '1.5 KiB', '900 bytes', '5 GiB')
    """
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size_bytes >= unit:
            return f"{round(size_bytes / unit, 1):,g} {name}"
    return f"{size_bytes} bytes"
