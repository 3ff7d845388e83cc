"""Has the store's engine parse a statement, and applies the policy to what it found."""

import json
import re
import threading
from typing import Final

from fanlight_collectors.sqlguard.facts import Facts
from fanlight_collectors.sqlguard.json_tree import facts_of_json
from fanlight_collectors.sqlguard.policy import FunctionInfo, Policy, Refused, denied_functions
from fanlight_collectors.sqlguard.text_tree import CLIENT_FORMAT, OddName, facts_of_text, require_plain_names
from fanlight_schema.store import QueryError, Store

_UNKNOWN_FUNCTION: Final = 46  # ClickHouse's codes
_BAD_ARGUMENTS: Final = 36
_SCOPE: Final = re.compile(r":? In scope SELECT .*", re.DOTALL)
_ALWAYS_FOREIGN: Final = frozenset({"system", "information_schema", "default"})


class Guard:
    """Checks statements for one store; its rules are read from the engine once, at the first check."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._policy: Policy | None = None
        self._has_json_trees = True

    def check(self, sql: str, parameters: object = None) -> None:
        """Returns if the statement may run; raises Refused, or QueryError for a syntax error."""
        if "\x00" in sql:
            raise Refused("the statement holds a NUL character")
        facts = self._facts(sql)
        self._rules().check(facts)
        if parameters and not facts.parameters:
            raise Refused("the statement takes no parameters; write {name:Type} where one goes")

    def _facts(self, sql: str) -> Facts:
        formatted = self._parse("formatQuerySingleLine", sql)  # also refuses more than one statement
        if self._has_json_trees:
            try:
                return facts_of_json(json.loads(self._parse("parseQueryToJSON", sql)))
            except QueryError as exc:
                if exc.code == _UNKNOWN_FUNCTION:
                    self._has_json_trees = False
                elif exc.code != _BAD_ARGUMENTS:
                    raise
        return self._facts_from_text(formatted)

    def _facts_from_text(self, formatted: str) -> Facts:
        try:
            require_plain_names(formatted)
        except OddName as exc:
            raise Refused(f"the name {str(exc)!r} is not allowed") from exc
        if re.search(r"\{\s*\w+\s*:", formatted):
            raise Refused("query parameters need ClickHouse 26.8 or newer, and a SELECT")
        # A server takes the format that the client appends for the explained statement's and answers in its
        # default format, which is this one.
        tree = self._store.query_bytes(f"EXPLAIN AST {formatted}", CLIENT_FORMAT)
        return facts_of_text(tree.decode("utf-8", "replace").splitlines())

    def _parse(self, function: str, sql: str) -> str:
        try:
            return str(self._store.query(f"SELECT {function}({{sql:String}})", {"sql": sql}).rows[0][0])
        except QueryError as exc:
            if exc.code in (_UNKNOWN_FUNCTION, _BAD_ARGUMENTS):
                raise
            raise QueryError(_SCOPE.sub(".", exc.message), exc.code) from exc

    def _rules(self) -> Policy:
        with self._lock:
            if self._policy is None:
                self._policy = self._read_rules()
            return self._policy

    def _read_rules(self) -> Policy:
        databases = {
            str(row[0]).lower() for row in self._store.query("SELECT name FROM system.databases").rows
        }
        columns = "name, categories, toString(origin), alias_to"
        catalogue = self._store.query(f"SELECT {columns} FROM system.functions").rows
        denied = denied_functions(FunctionInfo(*map(str, row)) for row in catalogue)
        return Policy(self._store.database, frozenset(databases) | _ALWAYS_FOREIGN, denied)
