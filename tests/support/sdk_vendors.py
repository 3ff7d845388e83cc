"""The SDKs' clients of clouds, which send what they are told to other paths or over other transports.

Used like those of `sdks`; `available` tells whether the installed SDK has such a client.
"""

from __future__ import annotations

import importlib.util
from typing import Any, ClassVar

from sdks import AnthropicSdk, CohereSdk, GoogleSdk, GroqSdk, MistralSdk, OpenaiSdk, Sdk, imported

KEYS = {"aws_region": "us-east-1", "aws_access_key": "a", "aws_secret_key": "sk-secret"}


class _Anthropic(AnthropicSdk):
    """Anthropic's clients take the same arguments but for who asks."""

    who: ClassVar[dict[str, Any]]

    @classmethod
    def available(cls) -> bool:
        return hasattr(imported("anthropic"), cls.sync_class)

    def client(self, url: str, *, retries: int = 0, timeout_s: float = 30) -> Any:
        kind = getattr(imported("anthropic"), f"Async{self.sync_class}" if self.is_async else self.sync_class)
        made = kind(base_url=url, max_retries=retries, timeout=timeout_s, **self.who)
        self.driver.at_end(made.close)
        return made


class AnthropicBedrock(_Anthropic):
    sync_class = "AnthropicBedrock"
    who: ClassVar[dict[str, Any]] = KEYS


class AnthropicMantle(_Anthropic):
    sync_class = "AnthropicBedrockMantle"
    who: ClassVar[dict[str, Any]] = KEYS


class AnthropicAws(_Anthropic):
    sync_class = "AnthropicAWS"
    who: ClassVar[dict[str, Any]] = {**KEYS, "workspace_id": "w"}


class AnthropicVertex(_Anthropic):
    sync_class = "AnthropicVertex"
    who: ClassVar[dict[str, Any]] = {"region": "us-east5", "project_id": "p", "access_token": "sk-secret"}


class AnthropicFoundry(_Anthropic):
    sync_class = "AnthropicFoundry"
    end = "/anthropic"
    who: ClassVar[dict[str, Any]] = {"api_key": "sk-secret"}


class _OverAiohttp(Sdk):
    """An asynchronous client that was given the SDK's own client of aiohttp."""

    sync_class: ClassVar[str]
    async_only: ClassVar[bool] = True

    @classmethod
    def available(cls) -> bool:
        try:
            imported(cls.name).DefaultAioHttpClient()
        except (AttributeError, RuntimeError):
            return False
        return True

    def client(self, url: str, *, retries: int = 0, timeout_s: float = 30) -> Any:
        module = imported(self.name)
        made = getattr(module, f"Async{self.sync_class}")(
            base_url=url,
            api_key="sk-secret",
            max_retries=retries,
            timeout=timeout_s,
            http_client=module.DefaultAioHttpClient(),
        )
        self.driver.at_end(made.close)
        return made


class AnthropicAiohttp(_OverAiohttp, AnthropicSdk):
    """Anthropic's aiohttp extra."""


class GroqAiohttp(_OverAiohttp, GroqSdk):
    """Groq's, which is the httpx-aiohttp package."""


class CohereAiohttp(CohereSdk):
    """Cohere's, which it takes by itself."""

    async_only: ClassVar[bool] = True

    @classmethod
    def available(cls) -> bool:
        return _found("httpx_aiohttp")

    def transport(self, timeout_s: float) -> dict[str, Any]:
        return {}


class AzureOpenai(OpenaiSdk):
    sync_class = "AzureOpenAI"
    end = ""

    @classmethod
    def available(cls) -> bool:
        return True

    def client(self, url: str, *, retries: int = 0, timeout_s: float = 30) -> Any:
        kind = getattr(imported("openai"), f"Async{self.sync_class}" if self.is_async else self.sync_class)
        made = kind(
            azure_endpoint=url,
            api_key="sk-secret",
            api_version="2026-01-01",
            max_retries=retries,
            timeout=timeout_s,
        )
        self.driver.at_end(made.close)
        return made


class GoogleVertex(GoogleSdk):
    """The same client in another mode; its async half sends over aiohttp, as it does where it finds that."""

    @classmethod
    def available(cls) -> bool:
        return importlib.util.find_spec("aiohttp") is not None

    def who(self) -> dict[str, Any]:
        credentials = imported("google.oauth2.credentials").Credentials("sk-secret")
        return {"vertexai": True, "project": "p", "location": "l", "credentials": credentials}

    def client(self, url: str, *, retries: int = 0, timeout_s: float = 30) -> Any:
        options: dict[str, Any] = {"base_url": url, "timeout": round(timeout_s * 1000)}
        if retries:
            again = {"attempts": retries + 1, "initial_delay": 0.001, "max_delay": 0.01, "jitter": 0.001}
            options["retry_options"] = again
        made = imported("google.genai").Client(http_options=options, **self.who())
        if self.is_async:
            self.driver.at_end(made.aio.aclose if hasattr(made.aio, "aclose") else lambda: None)
        self.driver.at_end(made.close if hasattr(made, "close") else lambda: None)
        return made


class GoogleAiohttp(GoogleVertex):
    """At AI Studio, over aiohttp too."""

    def who(self) -> dict[str, Any]:
        return {"api_key": "sk-secret"}


class _MistralCloud(MistralSdk):
    """Mistral's clients of clouds, which are distributions of their own before 2.0."""

    package: ClassVar[str]  # since 2.0
    package_1: ClassVar[str]
    sync_class: ClassVar[tuple[str, str]]  # since 2.0, and in 1.x
    who: ClassVar[tuple[dict[str, Any], dict[str, Any]]]

    @classmethod
    def available(cls) -> bool:
        return True

    def client(self, url: str, *, retries: int = 0, timeout_s: float = 30) -> Any:
        is_1 = not _found(self.package)
        package = self.package_1 if is_1 else self.package
        options: dict[str, Any] = {**self.who[is_1], "timeout_ms": round(timeout_s * 1000)}
        if retries:
            utils = imported(f"{package}.utils")
            strategy = utils.BackoffStrategy(100, 100, 1.0, 1000)  # ms, as in MistralSdk
            options["retry_config"] = utils.RetryConfig("backoff", strategy, True)
        made = getattr(imported(package), self.sync_class[is_1])(**options)
        self.lead_to(made, url)
        exit_ = made.__aexit__ if self.is_async else made.__exit__
        self.driver.at_end(lambda: exit_(None, None, None))
        return made

    def lead_to(self, made: Any, url: str) -> None:
        """Have a client send to the mock provider."""
        made.sdk_configuration.server_url = url


def _found(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


class MistralAzure(_MistralCloud):
    package = "mistralai.azure.client"
    package_1 = "mistralai_azure"
    sync_class = ("MistralAzure", "MistralAzure")
    who = (
        {"api_key": "sk-secret", "server_url": "http://127.0.0.1"},
        {"azure_api_key": "sk-secret", "azure_endpoint": "http://127.0.0.1"},
    )


class MistralGoogleCloud(_MistralCloud):
    """It writes the whole path anew, so that the mock's scenario is put before it when it is sent."""

    package = "mistralai.gcp.client"
    package_1 = "mistralai_gcp"
    sync_class = ("MistralGCP", "MistralGoogleCloud")
    who = ({"project_id": "p", "access_token": "sk-secret"},) * 2

    def lead_to(self, made: Any, url: str) -> None:
        base, _, scenario = url.partition("/s/")
        made.sdk_configuration.server_url = base

        def place(request: Any) -> None:
            request.url = request.url.copy_with(path=f"/s/{scenario.partition('/')[0]}{request.url.path}")

        async def place_async(request: Any) -> None:
            place(request)

        configuration = made.sdk_configuration
        configuration.client.event_hooks = {"request": [place]}
        configuration.async_client.event_hooks = {"request": [place_async]}


VENDORS: tuple[Any, ...] = (
    AnthropicBedrock,
    AnthropicMantle,
    AnthropicAws,
    AnthropicVertex,
    AnthropicFoundry,
    AnthropicAiohttp,
    GroqAiohttp,
    CohereAiohttp,
    AzureOpenai,
    GoogleVertex,
    GoogleAiohttp,
    MistralAzure,
    MistralGoogleCloud,
)
