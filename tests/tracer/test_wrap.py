"""One client instead of all of them, the drop-in import, and taking everything out again."""

import gc
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

import fanlight._auto
import fanlight.testing
from fanlight import _guard, patches
from fanlight.testing import Captured
from mock_provider import Fault, Provider
from programs import run_python
from sdk_drivers import MESSAGES, Driver, http_library
from sdks import imported
from span_trees import described, plain_call

ASK: Any = {"model": "m", "messages": MESSAGES}


@pytest.fixture
def unpatched() -> Iterator[Captured]:
    """Spans are recorded, but no client is patched."""
    _guard.raise_errors(True)
    with fanlight.testing.capture() as spans:
        yield spans
    _guard.raise_errors(False)
    patches.uninstall_all()


def test_only_the_wrapped_client_is_traced(provider: Provider, driver: Driver, unpatched: Captured) -> None:
    url = provider.scenario()
    wrapped, other = patches.wrap_client(driver.client(url)), driver.client(url)
    assert type(wrapped) is type(other)
    driver.run(other.chat.completions.create(**ASK))
    assert unpatched.spans == []
    driver.run(wrapped.chat.completions.create(**ASK))
    assert described(unpatched) == [plain_call(provider.truth(url, expect=2)[1])]


def test_a_wrapped_client_sees_its_retries_and_those_of_its_copies(
    provider: Provider, driver: Driver, unpatched: Captured
) -> None:
    url = provider.scenario(Fault(status=500, headers={"retry-after-ms": "1"}), Fault())
    client = patches.wrap_client(driver.client(url)).with_options(timeout=9)
    driver.run(client.chat.completions.create(**ASK))
    (call,) = described(unpatched)
    assert call.facts["requests"] == len(call.below) == 2


def test_wrapping_a_client_of_an_instrumented_process_counts_once(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    url = provider.scenario(Fault(status=500, headers={"retry-after-ms": "1"}), Fault())
    client = patches.wrap_client(patches.wrap_client(driver.client(url)))
    driver.run(client.chat.completions.create(**ASK))
    (call,) = described(captured)
    assert call.facts["requests"] == len(call.below) == 2


def test_a_wrapped_client_is_freed_like_any_other(unpatched: Captured) -> None:
    client = patches.wrap_client(openai.OpenAI(base_url="http://127.0.0.1:1", api_key="k"))
    watched = weakref.ref(client)
    del client
    gc.collect()
    assert watched() is None


def test_something_else_cannot_be_wrapped(unpatched: Captured) -> None:
    with pytest.raises(TypeError, match=r"fanlight\.wrap\(\) does not know builtins\.dict"):
        patches.wrap_client({})


def test_uninstalling_leaves_nothing_behind(driver: Driver) -> None:
    base: Any = openai._base_client
    httpx = http_library()
    google, cohere = imported("google.genai._api_client"), imported("cohere.core.http_client")
    owners = [
        (base.SyncAPIClient, "request"),
        (base.AsyncAPIClient, "request"),
        (imported("anthropic._base_client").SyncAPIClient, "request"),
        (imported("groq._base_client").AsyncAPIClient, "request"),
        (google.BaseApiClient, "_request"),
        (google.BaseApiClient, "_async_request"),
        (cohere.HttpClient, "request"),
        (cohere.AsyncHttpClient, "request"),
        (httpx.Client, "_send_single_request"),
        (httpx.AsyncClient, "_send_single_request"),
        (httpx.HTTPTransport, "handle_request"),
        (httpx.AsyncHTTPTransport, "handle_async_request"),
    ]
    before = [vars(owner)[name] for owner, name in owners]
    finders = list(sys.meta_path)
    client = driver.client("http://127.0.0.1:1")
    attributes = dict(vars(client)), dict(vars(client._client))
    patches.install_all()
    patches.install_all()
    patches.wrap_client(client)
    assert [vars(owner)[name] for owner, name in owners] != before
    patches.uninstall_all()
    assert [vars(owner)[name] for owner, name in owners] == before
    assert sys.meta_path == finders
    assert (dict(vars(client)), dict(vars(client._client))) == attributes


def test_a_wrapper_of_someone_else_stays_in_place(provider: Provider, driver: Driver) -> None:
    base: Any = openai._base_client
    owner = type(driver.client("http://127.0.0.1:1")).__mro__[1]
    assert issubclass(owner, (base.SyncAPIClient, base.AsyncAPIClient))
    before = vars(owner)["request"]
    patches.install_all()
    ours = vars(owner)["request"]

    def theirs(*args: Any, **kwargs: Any) -> Any:
        return ours(*args, **kwargs)

    owner.request = theirs
    patches.uninstall_all()
    with fanlight.testing.capture() as spans:
        url = provider.scenario()
        driver.run(driver.client(url).chat.completions.create(**ASK))
    assert vars(owner)["request"] is theirs
    assert spans.spans == []
    owner.request = before


CALL = """
        with fanlight.testing.capture() as spans:
            with OpenAI(base_url={url!r}, api_key="k") as client:
                client.chat.completions.create(model="m", messages=[])
        print([span.name for span in spans.spans])
"""


def test_the_drop_in_import_is_openai_itself_and_traced(provider: Provider) -> None:
    code = """
        import fanlight.testing
        from fanlight.openai import OpenAI, AsyncAzureOpenAI, RateLimitError
        import openai
        assert (OpenAI, RateLimitError) == (openai.OpenAI, openai.RateLimitError)
        """ + CALL.format(url=provider.scenario())
    assert run_python(code, OTEL_TRACES_EXPORTER="none") == "['chat m']\n"


def test_anthropics_drop_in_import_is_anthropic_itself_and_traced(provider: Provider) -> None:
    code = f"""
        import fanlight.testing
        from fanlight.anthropic import Anthropic, RateLimitError
        import anthropic
        assert (Anthropic, RateLimitError) == (anthropic.Anthropic, anthropic.RateLimitError)
        client = Anthropic(base_url={provider.scenario(end="")!r}, api_key="k")
        with client, fanlight.testing.capture() as spans:
            client.messages.create(model="m", max_tokens=9, messages=[{{"role": "user", "content": "one"}}])
        print([span.name for span in spans.spans])
        """
    assert run_python(code, OTEL_TRACES_EXPORTER="none") == "['chat m']\n"


def test_settings_of_the_drop_in_module_are_openais(provider: Provider) -> None:
    code = f"""
        import fanlight.testing, openai
        import fanlight.openai as drop_in
        drop_in.api_key, drop_in.base_url = "k", {provider.scenario() + "/"!r}
        assert openai.api_key == drop_in.api_key == "k"
        with fanlight.testing.capture() as spans:
            drop_in.chat.completions.create(model="m", messages=[])
        print([span.name for span in spans.spans])
        """
    assert run_python(code, OTEL_TRACES_EXPORTER="none") == "['chat m']\n"


def test_a_name_of_the_drop_in_module_can_be_mocked_and_is_put_back() -> None:
    code = """
        from unittest import mock
        import fanlight.openai, openai
        real = openai.OpenAI
        with mock.patch("fanlight.openai.OpenAI") as stand_in:
            assert openai.OpenAI is fanlight.openai.OpenAI is stand_in
        assert openai.OpenAI is fanlight.openai.OpenAI is real
        """
    assert run_python(code, OTEL_TRACES_EXPORTER="none") == ""


def test_the_drop_in_import_says_what_is_missing() -> None:
    code = """
        import sys
        sys.modules["openai"] = None
        try:
            from fanlight.openai import OpenAI
        except ImportError as error:
            print(error)
        """
    assert "pip install openai" in run_python(code)


def test_clients_imported_after_instrument_are_traced(provider: Provider) -> None:
    code = """
        import sys
        import fanlight, fanlight.testing
        fanlight.instrument(export=False)
        assert not {"openai", "httpx", "httpx2"} & set(sys.modules), "instrument() imports no client"
        from openai import OpenAI
        """ + CALL.format(url=provider.scenario())
    assert run_python(code) == "['chat m']\n"


def test_the_automatic_set_up_traces_a_program_that_knows_nothing(provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('the one that was there')\n")
    auto = str(next(iter(fanlight._auto.__path__)))
    code = """
        from openai import OpenAI
        import fanlight.testing
        """ + CALL.format(url=provider.scenario())
    printed = run_python(code, OTEL_TRACES_EXPORTER="none", PYTHONPATH=f"{auto}:{tmp_path}")
    assert printed == "the one that was there\n['chat m']\n"
