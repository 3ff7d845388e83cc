"""Options of the collector: each declared once, with its variable, default, unit and one sentence.

The only module of this package that reads the environment.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

from fanlight_schema.sizes import size_text
from fanlight_schema.spool import default_folder

DEFAULT_LISTEN: Final = "127.0.0.1:4318"  # 4318 is the port of OTLP/HTTP (IANA)
DEFAULT_FOLDER: Final = "fanlight-data"
DEFAULT_QUEUE_BYTES: Final = 64 * 2**20
MIN_QUEUE_BYTES: Final = 20 * 2**20  # one request body of the size that is taken
MIN_TOKEN_CHARS: Final = 16
# To listen at one of these is to listen at every address of the machine; none can be called by it.
_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "::": "[::1]"}


class ConfigError(ValueError):
    """All that is wrong with the options, one problem a line."""


@dataclass(frozen=True, slots=True)
class Option:
    """How an option is called, where it is read from, and what it does."""

    flag: str
    env: str
    unit: str
    help: str


def _option(flag: str, env: str, unit: str, text: str) -> dict[str, Option]:
    return {"option": Option(flag, env, unit, text)}


def default_store() -> str:
    """The embedded store in this folder."""
    return f"chdb://{Path.cwd() / DEFAULT_FOLDER}"


@dataclass(frozen=True, slots=True)
class UpConfig:
    """Options of `fanlight up`."""

    store: str = field(
        default_factory=default_store,
        metadata=_option(
            "--store",
            "FANLIGHT_STORE",
            "URL",
            "Where spans are kept: chdb:///folder or clickhouse://host/database.",
        ),
    )
    listen: str = field(
        default=DEFAULT_LISTEN,
        metadata=_option(
            "--listen",
            "FANLIGHT_UP_LISTEN",
            "host:port",
            "Address to listen on; any but loopback needs a token.",
        ),
    )
    token: str = field(
        default="",
        repr=False,
        metadata=_option("", "FANLIGHT_UP_TOKEN", "text", "Bearer token that OTLP senders must show."),
    )
    token_file: str = field(
        default="",
        metadata=_option(
            "--token-file", "FANLIGHT_UP_TOKEN_FILE", "path", "File with that token in its first line."
        ),
    )
    queue_bytes: int = field(
        default=DEFAULT_QUEUE_BYTES,
        metadata=_option(
            "--queue-bytes",
            "FANLIGHT_UP_QUEUE_BYTES",
            "bytes",
            "Request bodies held at once; beyond it senders must come back.",
        ),
    )
    spool_folder: Path = field(
        default_factory=default_folder,
        metadata=_option(
            "",
            "FANLIGHT_SPOOL_DIR",
            "folder",
            "The spool of the traced processes that run here; /var/tmp/fanlight-UID unless set.",
        ),
    )
    state_folder: Path = field(
        default_factory=lambda: state_folder(os.environ),
        metadata=_option("", "XDG_STATE_HOME", "folder", "Where the SQL token of a server store is written."),
    )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, **flags: object) -> "UpConfig":
        """Flags that are not None, then variables, then defaults; ConfigError lists every problem."""
        source = os.environ if environ is None else environ
        values: dict[str, object] = {"state_folder": state_folder(source)}
        problems: list[str] = []
        for item in fields(cls):
            option: Option = item.metadata["option"]
            if flags.get(item.name) is not None:
                values[item.name] = flags[item.name]
            elif item.name != "state_folder" and source.get(option.env, "") != "":
                values[item.name] = _read(item.name, option, source[option.env], problems)
        if problems:
            raise ConfigError("\n".join(problems))
        config = cls(**values)  # type: ignore[arg-type]  # the values are read per field above
        config.check()
        return config

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])

    @property
    def local_url(self) -> str:
        """Where a program on this machine reaches this up."""
        return local_url(self.listen)

    @property
    def sql_token_path(self) -> Path:
        """In the data folder; for a server store, in the user's state folder, by port."""
        if self.store.startswith("chdb://"):
            return Path(self.store.removeprefix("chdb://")) / "sql-token"
        return self.state_folder / f"sql-token-{self.port}"

    def sender_token(self) -> str:
        """The token that OTLP senders must show; empty if none is set. Raises ConfigError."""
        token = self.token or (_first_line(Path(self.token_file)) if self.token_file else "")
        if token and len(token) < MIN_TOKEN_CHARS:
            raise ConfigError(f"the token has {len(token)} characters; take at least {MIN_TOKEN_CHARS}")
        return token

    def check(self) -> None:
        """Raises ConfigError with every problem that can be seen without opening anything."""
        problems = []
        host, _, port = self.listen.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            problems.append(f'--listen is "{self.listen}"; give host:port, for example {DEFAULT_LISTEN}')
        if self.queue_bytes < MIN_QUEUE_BYTES:
            least = f"{MIN_QUEUE_BYTES} ({size_text(MIN_QUEUE_BYTES)})"
            problems.append(f"--queue-bytes is {self.queue_bytes}; give at least {least}")
        if problems:
            raise ConfigError("\n".join(problems))


def _read(name: str, option: Option, text: str, problems: list[str]) -> object:
    if name == "spool_folder":
        return Path(text).absolute()
    if name != "queue_bytes":
        return text
    if not text.isdigit():
        problems.append(
            f'{option.env} is "{text}"; give whole {option.unit}, for example {DEFAULT_QUEUE_BYTES}'
        )
        return DEFAULT_QUEUE_BYTES
    return int(text)


def _first_line(path: Path) -> str:
    try:
        with path.open() as file:
            return file.readline().strip()
    except OSError as exc:
        raise ConfigError(f"the token file {path} cannot be read: {exc.strerror}") from exc


def state_folder(environ: Mapping[str, str]) -> Path:
    """$XDG_STATE_HOME/fanlight (XDG Base Directory Specification), for what outlives a run but is no data."""
    base = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "fanlight"


def local_url(listen: str) -> str:
    """The URL at which a program on this machine reaches a server that listens at host:port.

    >>> local_url("0.0.0.0:4318"), local_url("10.0.0.7:4318")
    ('http://127.0.0.1:4318', 'http://10.0.0.7:4318')
    """
    host, _, port = listen.rpartition(":")
    return f"http://{_EVERY_ADDRESS.get(host, host)}:{port}"


def default_up_url(environ: Mapping[str, str] | None = None) -> str:
    """Where an up is looked for that no option names: at FANLIGHT_UP_LISTEN, else at the usual port."""
    source = os.environ if environ is None else environ
    return local_url(source.get("FANLIGHT_UP_LISTEN") or DEFAULT_LISTEN)


def sql_token_from_environment(environ: Mapping[str, str] | None = None) -> str | None:
    """FANLIGHT_SQL_TOKEN: the token for /v1/sql of an `up` whose token file cannot be read from here."""
    return (os.environ if environ is None else environ).get("FANLIGHT_SQL_TOKEN") or None
