"""The routes of `fanlight up`, and who may call which."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fanlight_collectors.otlp.answers import JSON, failure
from fanlight_collectors.up.access import has_token, is_loopback, is_own_host
from fanlight_collectors.up.receive import Receiver, request_encoding
from fanlight_collectors.up.samples import SampleEndpoint
from fanlight_collectors.up.spool import SpoolReader
from fanlight_collectors.up.sql import SqlEndpoint, error
from fanlight_schema.store import Store, StoreError

Handler = Callable[[Request], Awaitable[Response]]

NOT_TAKEN: Final = (
    "fanlight takes traces only: send them to /v1/traces and switch this exporter off "
    "(OTEL_METRICS_EXPORTER=none, OTEL_LOGS_EXPORTER=none)"
)


@dataclass(frozen=True, slots=True)
class Door:
    """Names and tokens that are let in."""

    listen_host: str
    own_names: frozenset[str]
    sender_token: str  # empty: none is asked for
    sql_token: str


@dataclass(frozen=True, slots=True)
class Service:
    """The handlers, over a receiver, an SQL endpoint and a store."""

    door: Door
    receiver: Receiver
    sql_endpoint: SqlEndpoint
    samples: SampleEndpoint
    store: Store
    data_folder: str | None
    spool: SpoolReader

    async def traces(self, request: Request) -> Response:
        refused = self._refuse_sender(request)
        if refused:
            return refused
        if request.method != "POST":
            return _otlp_error(request, 405, "send spans with POST", {"Allow": "POST"})
        return await self.receiver.receive(request)

    async def other_signal(self, request: Request) -> Response:
        return self._refuse_sender(request) or _otlp_error(request, 404, NOT_TAKEN)

    async def sql(self, request: Request) -> Response:
        return self._refuse_reader(request, "SQL") or await self.sql_endpoint.answer(request)

    async def scraped(self, request: Request) -> Response:
        return self._refuse_reader(request, "a sample") or await self.samples.take(request)

    async def healthz(self, request: Request) -> Response:
        """200 when a query can be answered; the counts are since the start."""
        if not is_own_host(request, self.door.own_names):
            return error(403, _HOST_MESSAGE, kind="access")
        try:
            await run_in_threadpool(self.store.query, "SELECT 1")
        except StoreError as exc:
            return JSONResponse({"status": "unavailable", "reason": str(exc)}, 503)
        return JSONResponse({"status": "ok", **self._details(request)})

    def _details(self, request: Request) -> dict[str, object]:
        if request.client is None or not is_loopback(request.client.host):
            return {}
        counts = {**self.receiver.counts, **self.receiver.writer.counts, **self.spool.counts}
        return {"store": self.store.url, "data_folder": self.data_folder, "counts": counts}

    def _refuse_reader(self, request: Request, what: str) -> Response | None:
        if not is_own_host(request, self.door.own_names):
            return error(403, _HOST_MESSAGE, kind="access")
        if not has_token(request, self.door.sql_token):
            answer = error(
                401, f"{what} needs the token in the file sql-token of the data folder", kind="access"
            )
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        if request.method != "POST":
            return error(405, "send it with POST", kind="access")
        return None

    def _refuse_sender(self, request: Request) -> Response | None:
        token = self.door.sender_token
        if token and not has_token(request, token):
            message = (
                "this collector needs a token: OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20<token>"
            )
            return _otlp_error(request, 401, message, {"WWW-Authenticate": "Bearer"})
        if not token and not is_own_host(request, self.door.own_names):
            return _otlp_error(request, 403, _HOST_MESSAGE)
        return None


_HOST_MESSAGE: Final = "the Host or Origin of this request is not a name of this server"


def _otlp_error(
    request: Request, status: int, message: str, headers: dict[str, str] | None = None
) -> Response:
    answer = failure(status, message, request_encoding(request) or JSON)
    return Response(answer.body, status, headers, answer.encoding)


async def _not_found(request: Request, exc: Exception) -> Response:
    return error(
        404, f"{request.url.path} is not here; there are /v1/traces, /v1/sql and /healthz", kind="access"
    )


def build_app(service: Service) -> Starlette:
    return Starlette(
        routes=[
            _route("/v1/traces", service.traces),
            _route("/v1/metrics", service.other_signal),
            _route("/v1/logs", service.other_signal),
            _route("/v1/sql", service.sql),
            _route("/v1/samples/{table}", service.scraped),
            Route("/healthz", service.healthz, methods=["GET"]),
        ],
        exception_handlers={404: _not_found},
    )


def _route(path: str, handler: Handler) -> Route:
    return Route(path, handler, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
