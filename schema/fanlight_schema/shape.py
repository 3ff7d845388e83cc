"""The shape of cascades in SQL: spans of some actions with their place in the tree and on the critical path.

    sql = spans_sql("SELECT action_id FROM cascades") + " SELECT * FROM cascade_spans"
    while compute(store): ...       # until cascade_shapes and the views beside it have every action

Both are statements, no views: ClickHouse 26.9 analyses recursive CTEs within a view several times over, each
inside the next. In a view this took minutes of CPU, where it stands in the statement 0.4 s.
"""

from functools import cache
from importlib import resources

from .store import Store

STANDING_MARKS = (
    "SELECT count() FROM (SELECT 1 FROM shape_marks GROUP BY action_id, build HAVING sum(sign) > 0)"
)


def spans_sql(actions: str) -> str:
    """WITH RECURSIVE ..., to be followed by SELECT ... FROM cascade_spans.

    `actions` is the statement that selects which actions: their ids as FixedString(16).
    """
    text = _text("cascade_spans.sql")
    return text[text.index("WITH RECURSIVE") :].rstrip().replace("{actions}", actions)


def compute(store: Store) -> int:
    """Compute shapes of actions that were counted anew; how many builds of actions still wait."""
    if waiting_shapes(store) == 0:
        return 0
    spans = spans_sql("SELECT arrayJoin(arrayMap(one -> one.1, due))").removeprefix("WITH RECURSIVE\n")
    store.command(_text("cascade_shapes.sql").replace("{spans}", spans))
    return waiting_shapes(store)


def waiting_shapes(store: Store) -> int:
    """How many builds of actions have no shape yet."""
    return int(store.query(STANDING_MARKS).rows[0][0])


@cache
def _text(name: str) -> str:
    """A statement of this package, without the comment above it."""
    lines = (resources.files("fanlight_schema") / name).read_text().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("--"))
