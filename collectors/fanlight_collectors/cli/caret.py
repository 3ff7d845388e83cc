"""Where in a statement ClickHouse found the error: its message in short, the line, and a caret below it."""

import re

_POSITION = re.compile(r"failed at position (\d+)")
_ECHO = re.compile(
    r"(failed at position \d+ \(.*?\)(?: \(line \d+, col \d+\))?): .*?"
    r"(?=\. Expected|\. Unmatched|\. \.|\. \(|$)",
    re.DOTALL,
)
_NAME = re.compile(r"(?:identifier|function|table|column|database|name) [`'\"]?([\w.]+)", re.IGNORECASE)
_IDENTIFIER = re.compile(r"identifier [`'\"]?([^`'\"]+?)[`'\"]?(?= in scope|[,.;]|$)", re.IGNORECASE)
_PREFIX = re.compile(  # of the embedded engine, and what clickhouse-connect puts before a server's message
    r"^(?:Received ClickHouse exception, code: \d+, server response: )?(?:Code: \d+\. )?DB::Exception: "
)
MAX_EXPECTED = 8  # tokens that ClickHouse would have taken; it may list a hundred, which help nobody


def explain(message: str, sql: str) -> str:
    """ClickHouse's message in one line, then the line of `sql` that it is about, with a caret."""
    short = shorten(message) + _quotes_hint(message, sql)
    position = find_position(message, sql)
    return short if position is None else f"{short}\n{point_at(sql, position)}"


def _quotes_hint(message: str, sql: str) -> str:
    """What to say where a text stands in double quotes, which ClickHouse takes for a name."""
    names = (match.group(1) for match in _IDENTIFIER.finditer(message))
    return " (use single quotes for text)" if any(f'"{name}"' in sql for name in names) else ""


def shorten(message: str) -> str:
    """The message without its echo of the statement, and without a long list of what was expected."""
    text = " ".join(_ECHO.sub(r"\1", _PREFIX.sub("", message)).split())
    head, found, tail = text.partition("Expected one of: ")
    if not found:
        return text.partition(" In scope ")[0].rstrip(" .")
    return head.rstrip(" .") if tail.count(", ") >= MAX_EXPECTED else text


def find_position(message: str, sql: str) -> int | None:
    """Index into `sql` of what the message is about, None where it cannot be told.

    A syntax error names a byte, counted from 1; an unknown name is looked up.
    """
    if match := _POSITION.search(message):
        before = sql.encode()[: int(match.group(1)) - 1]
        return len(before.decode(errors="ignore"))
    for match in _NAME.finditer(message):
        if found := re.search(rf"(?<!\w){re.escape(match.group(1))}(?!\w)", sql):
            return found.start()
    return None


def point_at(sql: str, position: int) -> str:
    """The line that holds `position`, and a caret below it."""
    position = min(position, len(sql))
    start = sql.rfind("\n", 0, position) + 1
    end = sql.find("\n", position)
    line = sql[start : end if end >= 0 else len(sql)]
    return f"  {line.expandtabs(1)}\n  {' ' * (position - start)}^"
