"""Stores for tests: `embedded_store`, `server_store`, and `store` for both, each a migrated database.

The embedded engine opens one folder per process, so all tests share a folder and each gets a fresh database
in it.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clickhouse_server import Server, library, running_server
from fanlight_schema import migrate
from fanlight_schema.gpu import seeds
from fanlight_schema.store import Store, open_store
from requirements import require

FIRST_DERIVED = 20  # number of the first migration that derives something from otel_traces
_numbers = itertools.count(1)

with contextlib.suppress(ModuleNotFoundError):  # the environments of agent frameworks have no property tests
    import hypothesis

    # How long an example takes says nothing about its truth, and much about what else the machine does.
    hypothesis.settings.register_profile("fanlight", deadline=None)
    hypothesis.settings.load_profile("fanlight")


def pytest_collection_finish() -> None:
    """A module that switches the tracer on when imported would trace every test, and all they start."""
    from fanlight._runtime import runtime

    assert not runtime.on, "a test module, or what it imports, switched the tracer on"


def _new_database() -> str:
    return f"t{next(_numbers)}"


@pytest.fixture(scope="session")
def embedded_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of this process; one store keeps the engine open until the last test."""
    folder = tmp_path_factory.mktemp("embedded")
    with open_store(f"chdb://{folder}", database="keepalive"):
        yield folder


@pytest.fixture(scope="session")
def clickhouse_server() -> Iterator[Server]:
    """A real ClickHouse server on loopback."""
    found = library()
    require(found is not None, "the ClickHouse test server")
    assert found is not None
    with running_server(found) as server:
        yield server


@pytest.fixture
def open_embedded(embedded_folder: Path) -> Iterator[Callable[[], Store]]:
    """Opens one more store on this test's own embedded database."""
    database = _new_database()
    yield from _opener(lambda: open_store(f"chdb://{embedded_folder}", database=database))


@pytest.fixture
def open_on_server(clickhouse_server: Server) -> Iterator[Callable[[], Store]]:
    """Opens one more store on this test's own database of the server."""
    database = _new_database()
    yield from _opener(lambda: open_store(clickhouse_server.url(database)))


def _opener(open_one: Callable[[], Store]) -> Iterator[Callable[[], Store]]:
    opened: list[Store] = []

    def opening() -> Store:
        opened.append(open_one())
        return opened[-1]

    yield opening
    if opened:
        # A dropped database ends its refreshes; without that they would go on beside the tests that follow.
        opened[0].command(f"DROP DATABASE IF EXISTS {opened[0].database}")
    for store in opened:
        store.close()


@pytest.fixture(params=["embedded", "server"])
def open_either(request: pytest.FixtureRequest) -> Callable[[], Store]:
    """Opens one more store on this test's own database, once on each engine."""
    name = "open_embedded" if request.param == "embedded" else "open_on_server"
    opener: Callable[[], Store] = request.getfixturevalue(name)
    return opener


@pytest.fixture
def embedded_store(open_embedded: Callable[[], Store]) -> Store:
    return _migrated(open_embedded())


@pytest.fixture
def server_store(open_on_server: Callable[[], Store]) -> Store:
    return _migrated(open_on_server())


@pytest.fixture
def bare_store(open_either: Callable[[], Store]) -> Store:
    """An empty database on each engine, without any table of ours."""
    return open_either()


@pytest.fixture
def store(open_either: Callable[[], Store]) -> Store:
    """A migrated database on each engine."""
    return _migrated(open_either())


@pytest.fixture
def base_store(open_either: Callable[[], Store]) -> Store:
    """Spans as they came and rate cards on each engine, without what is derived: made sooner."""
    store = open_either()
    migrate.apply(store, files=[file for file in migrate.migrations() if file.version < FIRST_DERIVED])
    seeds.write(store)
    return store


def _migrated(store: Store) -> Store:
    migrate.apply(store)
    return store
