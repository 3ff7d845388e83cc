"""Waits for spans that are in the store but in no figure yet: a refresh counts them every two seconds.

uncounted = wait_until_counted(reader)    # 0 where the figures are complete
"""

import time

from fanlight_collectors.cli.target import Reader, read_rows
from fanlight_schema.refresh import STANDING_MARKS

WAIT_S = 5.0  # the promise: figures are right so long after the insert
POLL_S = 0.25
OLDEST_FEW = (
    "SELECT toString(mark) FROM touched GROUP BY trace_id, mark HAVING sum(sign) > 0 ORDER BY mark LIMIT 1000"
)


def wait_until_counted(reader: Reader, timeout_s: float = WAIT_S) -> int:
    """Waits until what was in the store at the call is counted; how many traces have spans that are not.

    What arrives meanwhile is not waited for: on a store that is always written to, that would never end.
    """
    deadline = time.monotonic() + timeout_s
    first = _standing(reader)
    while first & _standing(reader) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return uncounted(reader) if first else 0


def uncounted(reader: Reader) -> int:
    """How many traces have spans that no figure counts yet."""
    return int(str(read_rows(reader, STANDING_MARKS).rows[0][0]))


def uncounted_line(traces: int) -> str:
    """What to tell a reader of figures that are behind."""
    what = "trace has" if traces == 1 else "traces have"
    return f"{traces:,} {what} spans that are not counted yet; ask again in a few seconds"


def _standing(reader: Reader) -> set[str]:
    return {str(row[0]) for row in read_rows(reader, OLDEST_FEW).rows}
