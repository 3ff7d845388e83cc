"""The openai package, traced: a drop-in import.

    from fanlight.openai import OpenAI, AsyncOpenAI

Everything here is openai's own (the types are identical); the first name that is asked for switches
`fanlight.instrument()` on. For one traced client among others, use `fanlight.wrap(client)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openai import *  # noqa: F403  # pyright: ignore[reportWildcardImportFromLibrary]  (what it exports)
    from openai import AsyncAzureOpenAI as AsyncAzureOpenAI  # the two are not in its __all__
    from openai import AzureOpenAI as AzureOpenAI
else:

    def __getattr__(name: str) -> object:
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)
        return getattr(_openai(), name)

    def __dir__() -> list[str]:
        return sorted(_openai().__all__)

    def _openai():
        try:
            import openai
        except ModuleNotFoundError as error:
            if error.name != "openai":
                raise
            raise ImportError(
                "fanlight.openai needs the openai package, which is not installed; pip install openai",
                name="openai",
            ) from error
        from fanlight import instrument

        instrument()
        return openai
