"""boto3 and botocore (aiobotocore, too): one call of an API that runs a model, whatever retries it takes.

Its requests go over urllib3 (or aiohttp). Which operations run a model is told by their path, as on the wire.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any
from urllib.parse import quote

from fanlight.capture.endpoints import endpoint_of
from fanlight.patches import _operations
from fanlight.patches._hooks import Hook
from fanlight.patches._http_client import body_bytes
from fanlight.patches._operations import Operation

_CLASSES = {"botocore.client": "BaseClient", "aiobotocore.client": "AioBaseClient"}
MODULES = tuple(_CLASSES)
CALL = "_make_api_call"

# The services that answer for a model themselves; those of agents and knowledge bases do it out of sight.
_SERVICES = frozenset(("bedrock-runtime", "sagemaker-runtime"))
_PLACE = re.compile(r"\{([^}+]+)\+?\}")


def patch_module(module: ModuleType) -> list[Hook]:
    """Watch every client."""
    return [_operations.watch(getattr(module, _CLASSES[module.__name__]), CALL, _read_of_class)]


def watch_calls(client: Any) -> Hook:
    """Watch the API calls of one client."""
    return _operations.watch(client, CALL, functools.partial(_read, client))


def _read_of_class(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Operation | None:
    return _read(args[0], args[1:], kwargs)


def _read(client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Operation | None:
    """`_make_api_call(operation_name, api_params)`."""
    service = client._service_model
    if service.service_name not in _SERVICES:
        return None
    operation, given = (*args, *kwargs.values())
    http = service.operation_model(operation).http
    path = _PLACE.sub(lambda place: quote(str(given.get(place[1], "")), safe=""), http["requestUri"])
    endpoint = endpoint_of(http["method"], path)
    if endpoint is None:
        return None
    body = given
    for name in ("body", "Body"):  # the model's own JSON, as it is
        if name in given:
            body = body_bytes(given[name])
    return Operation(endpoint, path, body, given)
