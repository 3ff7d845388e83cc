"""The openai package, traced: a drop-in import.

    from fanlight.openai import OpenAI, AsyncOpenAI

Everything here is openai's own, its settings included (`fanlight.openai.api_key = ...` sets openai's); the
first name that is asked for switches `fanlight.instrument()` on. For one traced client among others, use
`fanlight.wrap(client)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openai import *  # noqa: F403  # pyright: ignore[reportWildcardImportFromLibrary]  (what it exports)
    from openai import AsyncAzureOpenAI as AsyncAzureOpenAI  # the rest is not in its __all__
    from openai import AzureOpenAI as AzureOpenAI
    from openai import api_key as api_key
    from openai import api_type as api_type
    from openai import api_version as api_version
    from openai import azure_ad_token as azure_ad_token
    from openai import azure_ad_token_provider as azure_ad_token_provider
    from openai import azure_endpoint as azure_endpoint
    from openai import base_url as base_url
    from openai import default_headers as default_headers
    from openai import default_query as default_query
    from openai import http_client as http_client
    from openai import max_retries as max_retries
    from openai import organization as organization
    from openai import project as project
    from openai import timeout as timeout
    from openai import webhook_secret as webhook_secret
else:
    from fanlight._drop_in import become

    become(__name__, "openai")
