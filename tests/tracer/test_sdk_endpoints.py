"""Which methods of the SDKs ask a model, and which do not: docs/endpoints.md, tried with the real ones."""

import importlib.util
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fanlight.capture.endpoints import endpoint_of
from fanlight.testing import Captured
from mock_media import ASKED, COST
from mock_provider import Provider
from sdk_drivers import SyncDriver
from sdk_vendors import GoogleVertex
from sdks import AnthropicSdk, CohereSdk, GoogleSdk, MistralSdk, OllamaSdk, OpenaiSdk, Sdk
from span_trees import Node, described

pytestmark = pytest.mark.filterwarnings("ignore")  # the SDKs' own: some of these methods are on their way out

MESSAGES: Any = [{"role": "user", "content": "one two"}]
ASK: Any = {"model": "m", "messages": MESSAGES, "max_tokens": 9}
WAV = ("a.wav", b"RIFF", "audio/wav")
PNG = ("a.png", b"PNG", "image/png")
Ask = Callable[[Any], object]


@pytest.fixture
def driver() -> Iterator[SyncDriver]:
    made = SyncDriver()
    yield made
    made.close()


@pytest.fixture
def documented() -> ModuleType:
    file = Path(__file__).parents[2] / "docs/make_endpoints.py"
    spec = importlib.util.spec_from_file_location("make_endpoints", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tried(sdk: Sdk, provider: Provider, ask: Ask) -> str:
    """Call a method, whose request the mock may refuse because it does not speak it; where it was sent."""
    url = provider.scenario(end=sdk.end)
    try:
        ask(sdk.client(url))
    except AttributeError as missing:
        if type(missing.obj).__module__.startswith("fanlight"):
            raise  # only what the SDK lacks is no test
        pytest.skip(f"the installed SDK has no such method: {missing}")
    except Exception:  # noqa: BLE001  (every SDK has its own)
        pass
    return url


TELLS = {"usage": "reported", "input": ASKED, "output": COST}
# Of OpenAI: what is called, and what its span says beside what any has.
KINDS: list[tuple[str, Ask, dict[str, Any]]] = [
    ("image_generation", lambda c: c.images.generate(model="m", prompt="a window"), TELLS),
    ("image_generation", lambda c: c.images.edit(model="m", prompt="a window", image=PNG), {}),
    ("transcription", lambda c: c.audio.transcriptions.create(model="m", file=WAV), TELLS),
    ("transcription", lambda c: c.audio.translations.create(model="m", file=WAV), {}),
    ("speech", lambda c: c.audio.speech.create(model="m", voice="v", input="a window"), {}),
    (
        "moderation",
        lambda c: c.moderations.create(model="m", input=["one", "two"]),
        {"answered_by": "m", "inputs": 2},
    ),
    ("video_generation", lambda c: c.videos.create(model="m", prompt="a window"), {"answered_by": "m"}),
]


@pytest.mark.parametrize(
    ("operation", "ask", "says"), KINDS, ids=[f"{kind[0]}-{number}" for number, kind in enumerate(KINDS)]
)
def test_what_is_no_text_counts_and_its_tokens_may_be_unknown(
    provider: Provider, driver: SyncDriver, captured: Captured, operation: str, ask: Ask, says: dict[str, Any]
) -> None:
    tried(OpenaiSdk(driver), provider, ask)
    facts = {"model": "m", "requests": 1, "http": 200, "outcome": "answered", **says}
    assert described(captured) == [Node(f"{operation} m", facts)]


# Methods that ask a model, by the operation that they are; the mock may refuse them.
CALLS: list[tuple[type[Sdk], str, Ask]] = [
    (AnthropicSdk, "chat", lambda c: c.beta.messages.create(**ASK)),
    (AnthropicSdk, "chat", lambda c: c.beta.messages.tool_runner(**ASK, tools=[]).until_done()),
    (
        AnthropicSdk,
        "text_completion",
        lambda c: c.completions.create(model="m", prompt="a", max_tokens_to_sample=9),
    ),
    (
        GoogleVertex,
        "image_generation",
        lambda c: c.models.generate_images(model="imagen-m", prompt="a window"),
    ),
    (GoogleVertex, "video_generation", lambda c: c.models.generate_videos(model="veo-m", prompt="a window")),
    (MistralSdk, "chat", lambda c: c.agents.complete(agent_id="a", messages=MESSAGES)),
    (MistralSdk, "chat", lambda c: c.beta.conversations.start(model="m", inputs="one")),
    (MistralSdk, "text_completion", lambda c: c.fim.complete(model="m", prompt="a")),
    (MistralSdk, "moderation", lambda c: c.classifiers.moderate(model="m", inputs=["a"])),
    (MistralSdk, "classification", lambda c: c.classifiers.classify(model="m", inputs=["a"])),
    (
        MistralSdk,
        "ocr",
        lambda c: c.ocr.process(model="m", document={"type": "document_url", "document_url": "https://a/b"}),
    ),
    (OllamaSdk, "text_completion", lambda c: c.generate(model="m", prompt="a")),
    (OllamaSdk, "embeddings", lambda c: c.embeddings(model="m", prompt="a")),
]


@pytest.mark.parametrize(
    ("kind", "operation", "ask"),
    CALLS,
    ids=[f"{kind.name}-{operation}-{number}" for number, (kind, operation, _) in enumerate(CALLS)],
)
def test_other_methods_ask_too(
    provider: Provider, driver: SyncDriver, captured: Captured, kind: type[Sdk], operation: str, ask: Ask
) -> None:
    tried(kind(driver), provider, ask)
    (call,) = captured.with_role("call")
    assert call.attributes["gen_ai.operation.name"] == operation
    assert call.attributes["fanlight.requests"] == 1


# Methods that ask none.
OTHERS: list[tuple[type[Sdk], Ask]] = [
    (OpenaiSdk, lambda c: c.models.list()),
    (OpenaiSdk, lambda c: c.files.create(file=WAV, purpose="batch")),
    (OpenaiSdk, lambda c: c.vector_stores.create(name="s")),
    (OpenaiSdk, lambda c: c.fine_tuning.jobs.create(model="m", training_file="f")),
    (OpenaiSdk, lambda c: c.conversations.create()),
    (OpenaiSdk, lambda c: c.responses.cancel("resp_1")),
    (OpenaiSdk, lambda c: c.responses.input_tokens.count(model="m", input="a")),
    (OpenaiSdk, lambda c: c.beta.threads.create()),
    (OpenaiSdk, lambda c: c.beta.assistants.create(model="m")),
    (OpenaiSdk, lambda c: c.realtime.client_secrets.create()),
    (AnthropicSdk, lambda c: c.models.list()),
    (AnthropicSdk, lambda c: c.beta.files.upload(file=WAV)),
    (AnthropicSdk, lambda c: c.beta.messages.count_tokens(model="m", messages=MESSAGES)),
    (GoogleSdk, lambda c: c.models.count_tokens(model="m", contents="a")),
    (GoogleSdk, lambda c: c.caches.create(model="m", config={"contents": "a"})),
    (GoogleSdk, lambda c: c.models.list()),
    (MistralSdk, lambda c: c.models.list()),
    (MistralSdk, lambda c: c.beta.agents.create(model="m", name="a")),
    (CohereSdk, lambda c: c.tokenize(model="m", text="a")),
    (CohereSdk, lambda c: c.models.list()),
    (OllamaSdk, lambda c: c.show("m")),
    (OllamaSdk, lambda c: c.pull("m")),
    (OllamaSdk, lambda c: c.list()),
]


@pytest.mark.parametrize(
    ("kind", "ask"), OTHERS, ids=[f"{kind.name}-{number}" for number, (kind, _) in enumerate(OTHERS)]
)
def test_these_methods_ask_no_model(
    provider: Provider, driver: SyncDriver, captured: Captured, kind: type[Sdk], ask: Ask
) -> None:
    url = tried(kind(driver), provider, ask)
    assert provider.truth(url) or ".list()" in inspect.getsource(ask)  # it was sent; the mock notes no GET
    assert captured.spans == []


def test_what_the_page_calls_no_request_is_none(documented: ModuleType) -> None:
    for method, path, body, _ in documented.NO_REQUESTS:
        found = endpoint_of(method, path)
        assert found is None or not found.fits(body), path
