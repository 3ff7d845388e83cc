"""Figures as people read them: three digits that count, bounds beside the value, unknown as `unknown`."""

import math

UNKNOWN = "unknown"
DIGITS = 3


def count(value: object) -> str:
    """A whole number.

    >>> count(12345), count(None)
    ('12,345', '-')
    """
    return f"{int(value):,}" if isinstance(value, int | float) else "-"


def counted(value: object, thing: str) -> str:
    """A whole number of things.

    >>> counted(1, "action"), counted(1200, "call"), counted(None, "request")
    ('1 action', '1,200 calls', '- requests')
    """
    return f"{count(value)} {thing}" + ("" if value == 1 else "s")


def figure(value: object) -> str:
    """A measured or computed number, with three digits that count.

    >>> figure(16.357), figure(0.0123), figure(12345.6), figure(0), figure(4e-7), figure(None)
    ('16.4', '0.0123', '12,346', '0', '4.00e-07', '-')
    """
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -4:
        return f"{value:.{DIGITS - 1}e}"
    return f"{value:,.{max(0, DIGITS - 1 - magnitude)}f}"


def bounded(value: object, low: object, high: object) -> str:
    """A value with its bounds.

    >>> bounded(1.234, 0.8, 3.06), bounded(None, None, None)
    ('1.23 (0.800 to 3.06)', 'unknown')
    """
    if value is None:
        return UNKNOWN
    return f"{figure(value)} ({figure(low)} to {figure(high)})"


def duration(seconds: object) -> str:
    """A duration.

    >>> duration(0.0123), duration(2.5), duration(75.2), duration(7260), duration(604800), duration(None)
    ('12.3 ms', '2.50 s', '1 min 15 s', '2 h 1 min', '7 d 0 h', '-')
    """
    if not isinstance(seconds, int | float):
        return "-"
    if seconds < 1:
        return f"{figure(seconds * 1000)} ms"
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"
