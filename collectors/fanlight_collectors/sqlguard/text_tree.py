"""Facts from EXPLAIN AST, for engines before 26.8 and for the statements that have no JSON form (DESCRIBE).

The text leaves things out (the function of `* APPLY f`) and does not quote names, so a strange name could
pass for something else. Both are refused here.
"""

import re
from collections.abc import Sequence
from typing import Final

from fanlight_collectors.sqlguard.facts import Facts

_LINE: Final = re.compile(r"(?P<indent> *)(?P<kind>[A-Za-z:]+)(?P<rest>.*)")
_ENDING: Final = re.compile(r"(?: \(alias .*\))?(?: \(children \d+\))?$")
# Strings and quoted names as formatQuerySingleLine writes them: backslash escapes, nothing doubled.
_QUOTED: Final = re.compile(r"'(?:[^'\\]|\\.)*'|`(?P<name>(?:[^`\\]|\\.)*)`", re.DOTALL)
# Kinds whose line does not show the functions that they call.
_HIDING: Final = frozenset({"ColumnsApplyTransformer"})
# EXPLAIN AST calls some kinds otherwise than parseQueryToJSON does.
_JSON_KINDS: Final = {"Set": "SetQuery", "Explain": "ExplainQuery", "ShowTables": "ShowTablesQuery"}
CLIENT_FORMAT: Final = "TabSeparated"  # asked for, and appended to the statement by the client


class OddName(ValueError):
    """A quoted name with a character that no column or table of ours has."""


def require_plain_names(formatted: str) -> None:
    """Raises OddName if a quoted name of a formatted statement holds an escape or a parenthesis."""
    for quoted in _QUOTED.finditer(formatted):
        name = quoted["name"] or ""
        if "\\" in name or "(" in name or "\n" in name:
            raise OddName(name)


def facts_of_text(lines: Sequence[str]) -> Facts:
    facts = Facts()
    above: list[str] = []  # kinds on the way from the root to the current line
    for line in lines:
        found = _LINE.fullmatch(line)
        if not found:
            facts.kinds.add(f"unreadable line {line[:40]!r}")
            continue
        if found["kind"] in _HIDING:
            facts.kinds.add(f"{found['kind']} (on this version of ClickHouse)")
            continue
        depth, kind = len(found["indent"]), _JSON_KINDS.get(found["kind"], found["kind"])
        del above[depth:]
        _note(facts, above, kind, _ENDING.sub("", found["rest"]).strip())
        above.append(kind)
    return facts


def _note(facts: Facts, above: Sequence[str], kind: str, name: str) -> None:
    parent = above[-1] if above else ""
    if not above:
        facts.root = kind
    if len(above) == 1 and kind == "Identifier" and parent != "DescribeQuery":
        facts.format = "" if name == CLIENT_FORMAT else name
        return
    if len(above) == 1 and kind == "Literal":
        facts.has_outfile = True
    facts.kinds.add(kind)
    if kind == "Function":
        (facts.table_functions if parent == "TableExpression" else facts.functions).add(name)
    elif kind == "TableIdentifier":
        facts.tables.add(tuple(name.split(".")))
    elif kind == "Identifier" and "." in name:
        facts.identifiers.add(tuple(name.split(".")))
    elif kind == "SetQuery":
        facts.has_settings = True
    elif kind == "QueryParameter":
        parameter, _, declared = name.partition(":")
        facts.parameters[parameter] = declared
