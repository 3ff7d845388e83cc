"""What the policy wants to know of a statement's parse tree, whichever way the engine printed the tree."""

from dataclasses import dataclass, field
from typing import TypeAlias

TableName: TypeAlias = tuple[str, ...]  # (table,) or (database, table)


@dataclass(slots=True)
class Facts:
    """Collected over the whole tree, subqueries included."""

    root: str = ""
    kinds: set[str] = field(default_factory=set)
    tables: set[TableName] = field(default_factory=set)
    identifiers: set[TableName] = field(default_factory=set)  # of two parts or more
    functions: set[str] = field(default_factory=set)
    table_functions: set[str] = field(default_factory=set)
    has_settings: bool = False
    has_outfile: bool = False
    format: str = ""
    parameters: dict[str, str] = field(default_factory=dict)  # {name:Type}
