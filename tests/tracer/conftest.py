"""The mock provider, the clients of the installed SDK, and what fanlight recorded of them."""

from collections.abc import Iterator

import httpx  # noqa: F401 - see below
import pytest

import fanlight.testing
from fanlight import _guard, patches
from fresh_tracer import collector, fresh_tracer, spans
from mock_provider import Provider, running_provider
from sdk_drivers import AsyncDriver, Driver, SyncDriver
from sdks import SDKS, Sdk

# httpx is imported before any test: openai 3 looks into it where the collector closes a stream, also when it
# is half imported, and raises.
__all__ = ["collector", "fresh_tracer", "spans"]  # fresh_tracer isolates every test here


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    """A model provider in its own process."""
    with running_provider() as running:
        yield running


@pytest.fixture(params=[SyncDriver, AsyncDriver], ids=["sync", "async"])
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """The sync and the async client of the SDK that is installed here."""
    made: Driver = request.param()
    yield made
    made.close()


@pytest.fixture(
    params=[(kind, form) for kind in SDKS for form in (SyncDriver, AsyncDriver)],
    ids=[f"{kind.name}-{form}" for kind in SDKS for form in ("sync", "async")],
)
def sdk(request: pytest.FixtureRequest) -> Iterator[Sdk]:
    """Every SDK that is installed here, sync and async."""
    kind, form = request.param
    made = form()
    yield kind(made)
    made.close()


@pytest.fixture
def captured() -> Iterator[fanlight.testing.Captured]:
    """Every client is patched, spans are kept here, and an error of the tracer fails the test."""
    patches.end_open_calls()  # what another test holds open
    patches.install_all()
    _guard.raise_errors(True)
    with fanlight.testing.capture() as spans:
        yield spans
    _guard.raise_errors(False)
    patches.uninstall_all()
