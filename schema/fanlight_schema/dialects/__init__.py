"""What other tracers call the things that fanlight counts: three tables, read once.

`attributes.csv` maps an attribute name to the column of `spans` that it fills; where a span has several of
them, the smallest priority counts. `roles.csv` maps the value of the attribute that says what a span is
(operation name, span kind, observation type) to a role. Each row has the dialect, its version and its source.
`left_out.csv` names what no column is for, with the reason.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

PRIORITIES = 32  # more than the names that any column has


@dataclass(frozen=True, slots=True)
class Name:
    """One attribute name of one dialect, and the column that it fills."""

    column: str
    priority: int
    attribute: str
    dialect: str
    version: str
    source: str


@dataclass(frozen=True, slots=True)
class Role:
    """One value of a role attribute, and the role that it means. Values are compared without case."""

    value: str
    role: str
    dialect: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Attribute names (a regular expression of RE2) that fill no column on purpose."""

    pattern: str
    why: str


@cache
def left_out() -> tuple[LeftOut, ...]:
    """What is known and not taken."""
    return tuple(LeftOut(row["pattern"], row["why"]) for row in _rows("left_out.csv"))


@cache
def names() -> tuple[Name, ...]:
    """Every attribute name that is understood, in the order of the file."""
    return tuple(
        Name(
            row["column"],
            int(row["priority"]),
            row["attribute"],
            row["dialect"],
            row["version"],
            row["source"],
        )
        for row in _rows("attributes.csv")
    )


@cache
def roles() -> tuple[Role, ...]:
    """Every value that says what a span is."""
    return tuple(Role(row["value"], row["role"], row["dialect"]) for row in _rows("roles.csv"))


@cache
def columns() -> tuple[str, ...]:
    """The columns in the order of their numbers; column numbers start at 1."""
    return tuple(dict.fromkeys(name.column for name in names()))


def number(column: str) -> int:
    """The number that stands for a column in the generated SQL; KeyError-like ValueError if there is none."""
    return columns().index(column) + 1


def code(name: Name) -> int:
    """Column and priority in one number: the smallest code of a column is the one that counts."""
    return number(name.column) * PRIORITIES + name.priority


def _rows(file_name: str) -> list[dict[str, str]]:
    text = resources.files(__name__).joinpath(file_name).read_text()
    return list(csv.DictReader(text.splitlines()))
