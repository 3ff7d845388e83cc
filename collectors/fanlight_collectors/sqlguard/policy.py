"""Which statements are harmless: the rules, over the facts of a parse tree."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from fanlight_collectors.sqlguard.facts import Facts, TableName

ROOTS: Final = frozenset(
    {"SelectWithUnionQuery", "SelectIntersectExceptQuery", "ExplainQuery", "DescribeQuery"}
)

# Kinds of nodes, in the words of parseQueryToJSON. Not among them: SetQuery (SETTINGS), StreamSettings,
# InsertQuery and everything else that is no part of a SELECT.
KINDS: Final = frozenset(
    {
        *ROOTS, "SelectQuery", "ExpressionList", "Subquery", "WithElement", "TablesInSelectQuery",
        "TablesInSelectQueryElement", "TableExpression", "TableIdentifier", "TableJoin",
        "ArrayJoin", "Identifier", "Literal", "Function", "Asterisk", "QualifiedAsterisk",
        "ColumnsRegexpMatcher", "ColumnsListMatcher", "QualifiedColumnsRegexpMatcher",
        "QualifiedColumnsListMatcher", "ColumnsTransformerList", "ColumnsExceptTransformer",
        "ColumnsReplaceTransformer", "ColumnsReplaceTransformer::Replacement",
        "ColumnsApplyTransformer", "OrderByElement", "StorageOrderByElement", "InterpolateElement",
        "WindowDefinition", "WindowListElement", "SampleRatio", "QueryParameter", "TTLElement",
    }
)  # fmt: skip

# Tables of other databases that say nothing about the machine or its users.
OTHER_TABLES: Final = frozenset({("system", "one"), ("system", "numbers"), ("system", "zeros")})

# ClickHouse's category "Other" holds what fits nowhere else, file() and joinGet() among it: of it only these.
OTHER_FUNCTIONS: Final = frozenset(
    {
        "bar", "bytesize", "countdigits", "digits", "currentdatabase", "defaultvalueofargumenttype",
        "dumpcolumnstructure", "finalizeaggregation", "formatreadabledecimalsize",
        "formatreadablequantity", "formatreadablesize", "formatreadabletimedelta", "getsubcolumn",
        "identity", "ignore", "indexhint", "initializeaggregation", "isconstant",
        "isdecimaloverflow", "lowcardinalityindices", "lowcardinalitykeys", "materialize",
        "neighbor", "normalizequery", "normalizedqueryhash", "parsetimedelta", "parsereadablesize",
        "parsereadablesizeornull", "parsereadablesizeorzero", "rownumberinallblocks",
        "rownumberinblock", "runningaccumulate", "runningdifference",
        "runningdifferencestartingwithfirstvalue", "throwif", "tocolumntypename", "totypename",
        "transform", "variantelement", "varianttype", "version", "visiblewidth",
        "getsizeofenumtype", "minsamplesizecontinuous", "minsamplesizeconversion",
        "hascolumnintable", "blocknumber", "blocksize",
    }
)  # fmt: skip
DENIED_CATEGORIES: Final = frozenset(
    {"AI", "Dictionary", "Embedded Dictionary", "Internal", "Introspection", "Machine Learning", "Other"}
)
# Named by an older engine's catalogue without a category, or not at all, and never harmless.
DENIED_FUNCTIONS: Final = frozenset(
    {
        "file", "sleep", "sleepeachrow", "joinget", "joingetornull", "catboostevaluate",
        "evalmlmethod", "logtrace", "showcertificate", "getserversetting", "getmacro",
        "globalvariable", "fuzzquery", "generateserialid", "getclienthttpheader", "url",
        "executable", "getsetting", "getsettingordefault", "user", "currentuser",
    }
)  # fmt: skip
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Refused(ValueError):
    """The statement is not run; the message says what in it is not allowed."""


@dataclass(frozen=True, slots=True)
class FunctionInfo:
    """A row of system.functions."""

    name: str
    category: str
    origin: str
    alias_to: str


def denied_functions(catalogue: Iterable[FunctionInfo]) -> frozenset[str]:
    """Lower-case names that may not be called: by category, and whatever did not come with the engine."""
    rows = {row.name: row for row in catalogue}
    denied = {row.name.lower() for row in rows.values() if _is_denied(rows.get(row.alias_to, row))}
    return frozenset(denied | DENIED_FUNCTIONS) - OTHER_FUNCTIONS


def _is_denied(row: FunctionInfo) -> bool:
    return row.origin != "System" or bool(
        DENIED_CATEGORIES & {part.strip() for part in row.category.split(",")}
    )


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules for one store: its own database, its neighbours, and the engine's functions."""

    database: str
    databases: frozenset[str]
    denied: frozenset[str]

    def check(self, facts: Facts) -> None:
        """Raises Refused with the first thing that is not allowed."""
        if facts.root not in ROOTS:
            raise Refused(
                "only SELECT, EXPLAIN and DESCRIBE TABLE are answered here; "
                "`fanlight sql` alone lists the views"
            )
        if facts.has_outfile:
            raise Refused("INTO OUTFILE is not allowed")
        if facts.has_settings:
            raise Refused("SETTINGS are not allowed")
        if facts.format:
            raise Refused(
                "FORMAT is not allowed in the statement; choose the format with --format or ?format="
            )
        for function in sorted(facts.table_functions):
            raise Refused(f"the table function {function}() is not allowed")
        self._check_functions(facts)
        for parts in sorted(facts.tables):
            self._check_table(parts)
        for parts in sorted(facts.identifiers):
            self._check_identifier(parts)
        for kind in sorted(facts.kinds - KINDS):
            raise Refused(f"{kind} is not allowed")

    def _check_functions(self, facts: Facts) -> None:
        for function in sorted(facts.functions):
            if function.lower() in self.denied:
                raise Refused(f"the function {function}() is not allowed")
        if any("Identifier" in declared for declared in facts.parameters.values()):
            raise Refused("a parameter of type Identifier is not allowed")

    def _check_table(self, parts: TableName) -> None:
        shown = ".".join(parts)
        if len(parts) > 2 or not all(map(_WORD.fullmatch, parts)):
            raise Refused(f"{shown!r} is no table name")
        if len(parts) == 2 and parts[0] != self.database and parts not in OTHER_TABLES:
            raise Refused(f"{shown} is not in the database {self.database}, and only its tables can be read")

    def _check_identifier(self, parts: TableName) -> None:
        if parts[0].lower() in self.databases and parts[0] != self.database and parts[:2] not in OTHER_TABLES:
            raise Refused(
                f"{'.'.join(parts)} is not in the database {self.database}, and only its tables can be read"
            )
