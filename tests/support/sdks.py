"""Every supported SDK as the scenarios use it: one chat call of model `m`, whole or as a stream.

    sdk = AnthropicSdk(driver)              # driver: sync or async
    client = sdk.client(url, retries=2)
    answer = sdk.ask(client)
    stream = sdk.stream(client)

A scenario's URL comes from `provider.scenario(..., end=sdk.end)`.
"""

from __future__ import annotations

import importlib
import warnings
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from mock_provider import Asked
from sdk_drivers import AsyncDriver, Driver

PROMPT = "Say something about the window."
MAX_TOKENS = 100


class Sdk(ABC):
    """One SDK, sync or async as its driver is."""

    name: ClassVar[str]
    end: ClassVar[str] = ""  # of a scenario's URL
    operation: ClassVar[str] = "chat"
    asks: ClassVar[dict[str, Any]] = {}  # what its requests say beside model and stream
    retries: ClassVar[bool] = True
    retries_by_time: ClassVar[bool] = False  # how often is not known before
    retries_streams: ClassVar[bool] = True
    lead: ClassVar[int] = 0  # items of a stream before the first text
    # What a failed call is marked with: an exception's class, or the status where the SDK raises later.
    errors: ClassVar[dict[int | str, str]] = {}

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.is_async = isinstance(driver, AsyncDriver)

    @property
    def lazy(self) -> bool:
        """Whether a stream that is not read sends nothing."""
        return False

    @abstractmethod
    def client(self, url: str, *, retries: int = 0, timeout_s: float = 30) -> Any:
        """A client, closed at the end of the test."""

    def partial(self, truth: Asked, events: int) -> dict[str, Any]:
        """What is known of a stream after so many events with text: estimated, if nothing was reported."""
        return {
            "usage": "estimated",
            "input": round(truth.body_bytes / 4),
            "output": events,
            **self.early(truth),
        }

    def early(self, truth: Asked) -> dict[str, Any]:
        """What the first events tell."""
        return {"answered_by": truth.said.get("answered_by")}

    @abstractmethod
    def begin(self, client: Any, *, stream: bool) -> Any:
        """The call as the app writes it, not awaited yet."""

    def ask(self, client: Any) -> Any:
        """A whole answer."""
        return self.driver.run(self.begin(client, stream=False))

    def stream(self, client: Any) -> Any:
        """A stream to iterate over."""
        return self.driver.run(self.begin(client, stream=True))

    def close(self, stream: Any) -> None:
        """Close a stream as its users do."""
        closer = getattr(stream, "close", None) or stream.aclose
        self.driver.run(closer())


class _StainlessSdk(Sdk):
    sync_class: ClassVar[str]
    lead = 1
    errors: ClassVar[dict[int | str, str]] = {
        500: "InternalServerError",
        400: "BadRequestError",
        "timeout": "APITimeoutError",
    }

    def client(self, url: str, *, retries: int = 0, timeout_s: float = 30) -> Any:
        module = imported(self.name)
        made = getattr(module, f"Async{self.sync_class}" if self.is_async else self.sync_class)(
            base_url=url, api_key="sk-secret", max_retries=retries, timeout=timeout_s
        )
        self.driver.at_end(made.close)
        return made


class OpenaiSdk(_StainlessSdk):
    name = "openai"
    sync_class = "OpenAI"
    end = "/v1"

    def begin(self, client: Any, *, stream: bool) -> Any:
        more = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
        return client.chat.completions.create(model="m", messages=_messages(), **more)


class GroqSdk(_StainlessSdk):
    name = "groq"
    sync_class = "Groq"
    end = "/groq"

    def begin(self, client: Any, *, stream: bool) -> Any:
        return client.chat.completions.create(model="m", messages=_messages(), stream=stream)


class AnthropicSdk(_StainlessSdk):
    name = "anthropic"
    sync_class = "Anthropic"
    lead = 2
    asks: ClassVar[dict[str, Any]] = {"max_tokens": MAX_TOKENS}

    def partial(self, truth: Asked, events: int) -> dict[str, Any]:
        """Its first event tells the input, its last but one the output."""
        early = {key: truth.said[key] for key in ("answered_by", "cached", "cache_write")}
        return {"usage": "counted", "input": truth.input_tokens, "output": events, **early}

    def begin(self, client: Any, *, stream: bool) -> Any:
        return client.messages.create(model="m", max_tokens=MAX_TOKENS, messages=_messages(), stream=stream)


class GoogleSdk(Sdk):
    name = "google.genai"
    operation = "generate_content"
    errors: ClassVar[dict[int | str, str]] = {
        500: "ServerError",
        400: "ClientError",
        "timeout": "ReadTimeout",
    }

    @property
    def lazy(self) -> bool:
        return True

    def partial(self, truth: Asked, events: int) -> dict[str, Any]:
        """Every event tells the usage so far, thoughts included."""
        early = {key: truth.said[key] for key in ("answered_by", "cached", "reasoning")}
        output = events + truth.said["reasoning"]
        return {"usage": "reported", "input": truth.input_tokens, "output": output, **early}

    def client(self, url: str, *, retries: int = 0, timeout_s: float = 30) -> Any:
        genai = imported("google.genai")
        httpx = imported("httpx")
        again = {"attempts": retries + 1, "initial_delay": 0.001, "max_delay": 0.01, "jitter": 0.001}
        options: dict[str, Any] = {
            "base_url": url,
            "timeout": round(timeout_s * 1000),
            "async_client_args": {"transport": httpx.AsyncHTTPTransport()},
        }
        if retries:
            options["retry_options"] = again
        made = genai.Client(api_key="sk-secret", http_options=options)
        if self.is_async:
            self.driver.at_end(made.aio.aclose if hasattr(made.aio, "aclose") else lambda: None)
        self.driver.at_end(made.close if hasattr(made, "close") else lambda: None)
        return made

    def begin(self, client: Any, *, stream: bool) -> Any:
        models = client.aio.models if self.is_async else client.models
        ask = models.generate_content_stream if stream else models.generate_content
        return ask(model="m", contents=PROMPT)


class MistralSdk(Sdk):
    name = "mistralai"
    retries_by_time = True
    lead = 1
    errors: ClassVar[dict[int | str, str]] = {500: "500", 400: "400", "timeout": "ReadTimeout"}
    end = "/mistral"

    def client(self, url: str, *, retries: int = 0, timeout_s: float = 30) -> Any:
        try:
            module: Any = imported("mistralai.client")
            utils: Any = imported("mistralai.client.utils")
            made_of = module.Mistral
        except (ImportError, AttributeError):
            module, utils = imported("mistralai"), imported("mistralai.utils")
            made_of = module.Mistral
        strategy = utils.BackoffStrategy(100, 100, 1.0, 1000)  # ms; it counts no retries, it ends with time
        again = {"retry_config": utils.RetryConfig("backoff", strategy, True)} if retries else {}
        made = made_of(api_key="sk-secret", server_url=url, timeout_ms=round(timeout_s * 1000), **again)
        exit_ = made.__aexit__ if self.is_async else made.__exit__
        self.driver.at_end(lambda: exit_(None, None, None))
        return made

    def begin(self, client: Any, *, stream: bool) -> Any:
        name = ("stream" if stream else "complete") + ("_async" if self.is_async else "")
        return getattr(client.chat, name)(model="m", messages=_messages())

    def close(self, stream: Any) -> None:
        self.driver.within(stream, lambda _: None)  # 1.x has no `close`


class CohereSdk(Sdk):
    name = "cohere"
    retries_streams = False
    lead = 2
    errors: ClassVar[dict[int | str, str]] = {500: "500", 400: "400", "timeout": "ReadTimeout"}

    @property
    def lazy(self) -> bool:
        return True

    def __init__(self, driver: Driver) -> None:
        super().__init__(driver)
        self._retries: dict[int, int] = {}  # by client: it takes them with every call

    def client(self, url: str, *, retries: int = 0, timeout_s: float = 30) -> Any:
        cohere = imported("cohere")
        kind = cohere.AsyncClientV2 if self.is_async else cohere.ClientV2
        made = kind(api_key="sk-secret", base_url=url, timeout=timeout_s, **self.transport(timeout_s))
        inner = made._client_wrapper.httpx_client.httpx_client
        self._retries[id(made)] = retries + _cohere_retries_before(cohere)
        self.driver.at_end(inner.aclose if self.is_async else inner.close)
        return made

    def transport(self, timeout_s: float) -> dict[str, Any]:
        """httpx; left to itself it takes httpx-aiohttp where it finds that."""
        httpx = imported("httpx")
        return {"httpx_client": (httpx.AsyncClient if self.is_async else httpx.Client)(timeout=timeout_s)}

    def begin(self, client: Any, *, stream: bool) -> Any:
        ask = client.chat_stream if stream else client.chat
        return ask(
            model="m", messages=_messages(), request_options={"max_retries": self._retries[id(client)]}
        )


class OllamaSdk(Sdk):
    name = "ollama"
    retries = False
    errors: ClassVar[dict[int | str, str]] = {500: "500", 400: "400", "timeout": "ReadTimeout"}

    @property
    def lazy(self) -> bool:
        return True

    def client(self, url: str, *, retries: int = 0, timeout_s: float = 30) -> Any:
        ollama = imported("ollama")
        made = (ollama.AsyncClient if self.is_async else ollama.Client)(host=url, timeout=timeout_s)
        inner = made._client
        self.driver.at_end(inner.aclose if self.is_async else inner.close)
        return made

    def begin(self, client: Any, *, stream: bool) -> Any:
        return client.chat(model="m", messages=_messages(), stream=stream)


SDKS: tuple[type[Sdk], ...] = (
    OpenaiSdk,
    AnthropicSdk,
    GroqSdk,
    GoogleSdk,
    MistralSdk,
    CohereSdk,
    OllamaSdk,
)


def imported(name: str) -> Any:
    """A module, whatever its authors' use of other libraries is warned of on the way."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def _messages() -> list[Any]:
    return [{"role": "user", "content": PROMPT}]


def _cohere_retries_before(cohere: Any) -> int:
    """Cohere 5 begins to count its retries at 2."""
    return 2 if cohere.__version__ < "6" else 0
