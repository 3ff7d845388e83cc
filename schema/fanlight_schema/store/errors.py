"""What can go wrong with a store; every message says what happened and what to do.

StoreError
├── StoreUnavailable    cannot be reached or opened
│   └── StoreLocked     the data folder is open in another process
├── QueryError          ClickHouse refused a statement: its own message and code
└── WriteFailed         rows that were not stored
"""


class StoreError(Exception):
    """Something about the store; the message is one line for a person."""


class StoreUnavailable(StoreError):
    """The store cannot be reached or opened: wrong address, refused log-in, no such folder."""


class StoreLocked(StoreUnavailable):
    """The embedded data folder is open in another process."""


class QueryError(StoreError):
    """ClickHouse refused a statement.

    `message` is ClickHouse's own text, with the position of a syntax error; `code` its number (62 is a syntax
    error, 60 an unknown table), None where it gave none.
    """

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class WriteFailed(StoreError):
    """Rows that were not stored; sending them again is safe."""

    def __init__(self, table: str, rows: int, reason: str) -> None:
        super().__init__(f"{rows or 'the'} rows were not written to {table}: {reason}")
        self.table = table
        self.rows = rows
        self.reason = reason
