"""Composition root of one worker: contracts, channels, pages and the application that granian serves.

Nothing is made when this module is imported; granian calls `application` in each worker, after the fork.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Callable

import grpc.aio
import structlog

from gateway import channels
from gateway.app import Gateway, Limits
from gateway.contracts import descriptors, keys, rules
from gateway.http.exchange import Receive, Scope, Send, networks
from gateway.main import DRAIN_SIGNAL
from gateway.pages import probes
from gateway.pages.health import Health
from gateway.pages.operations import Operations
from gateway.pages.operations.keys import PublishedKeys
from gateway.reference import openapi, viewer
from libs import readiness, telemetry
from libs.config import Settings, load_or_exit
from libs.identity.service_tokens import ServiceTokens
from libs.listening import leave_callers_to_others

log = structlog.get_logger("gateway")

_ASK_EVERY = 0.1  # seconds between two questions to the services at start
_LOOK_EVERY = 0.5  # seconds between two looks at the parent


class Worker:
    """The application and its life: channels are opened on the worker's loop and closed at its end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._gateway: Gateway | None = None
        self._operations: Operations | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI event: a request, or the worker's life."""
        if scope["type"] == "http" and self._gateway is not None:
            await self._gateway(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            opened, health = self._open()
        except Exception as error:
            log.exception("cannot start")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        leaving = asyncio.ensure_future(_leave_with_parent())
        telling = asyncio.ensure_future(_tell_when_ready(health))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        leaving.cancel()
        telling.cancel()
        self._drain(health)
        for channel in opened:
            await channel.close(grace=None)
        await health.close()
        if self._operations is not None:
            await self._operations.close()
        telemetry.stop()
        await send({"type": "lifespan.shutdown.complete"})

    def _open(self) -> tuple[list[grpc.aio.Channel], Health]:
        """Put everything together, on the worker's loop."""
        settings = self._settings
        registry = descriptors.load(settings.gateway.descriptors)
        table = rules.build(registry, settings.services)
        opened = {
            name: channels.connect(service.target, [r for r in table.routes if r.service == name])
            for name, service in settings.services.items()
        }
        tokens = ServiceTokens(settings.auth, "gateway")
        health = Health(opened, tokens, settings.redis.url)
        published = PublishedKeys(keys.publisher(registry, settings.services), opened)
        self._operations = Operations(settings, opened, tokens, health, published)
        document = openapi.build(registry, table, settings.gateway.max_body_bytes)
        page = viewer.render(document)
        proxies = networks(settings.gateway.trusted_proxies)
        self._gateway = Gateway(
            registry,
            table,
            opened,
            {
                **probes.build(health, openapi.encode(document), page, viewer.policy(), proxies),
                **self._operations.pages(),
            },
            limits=Limits(settings.gateway.max_body_bytes, settings.gateway.max_in_flight),
            proxies=proxies,
            encrypted=settings.environment != "development",
            proof=_proof(tokens),
        )
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(DRAIN_SIGNAL, self._drain, health)
        loop.add_signal_handler(signal.SIGINT, lambda: None)  # the parent decides; a terminal tells both
        gc.collect()
        gc.freeze()  # what is made by now lives as long as the worker; no collection need look at it again
        return list(opened.values()), health

    def _drain(self, health: Health) -> None:
        """Be not ready any more, send callers elsewhere, and end what would never end by itself."""
        health.stopping = True
        if self._gateway is not None:
            self._gateway.leave()
        drain = self._settings.drain.total_seconds()
        asyncio.get_running_loop().call_later(drain, leave_callers_to_others, self._settings.gateway.listen)


def _proof(tokens: ServiceTokens) -> Callable[[], str]:
    """How the gateway shows who it is. Without the platform's secret it cannot, and callers have its own address."""
    try:
        tokens.header()
    except ValueError as error:
        log.warning("no secret: services will not believe the addresses of callers", error=str(error))
        return str
    return tokens.header


async def _tell_when_ready(health: Health) -> None:
    """Tell whoever started the gateway once its services can be called. With several workers the first one tells."""
    while (await health.ready())["status"] != "healthy":
        await asyncio.sleep(_ASK_EVERY)
    readiness.tell()


async def _leave_with_parent() -> None:
    """Stop when the parent is killed; a worker left alone would hold the port for ever."""
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(_LOOK_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)


def application() -> Worker:
    """Make the application of this worker."""
    settings = load_or_exit(Settings)
    telemetry.start(settings, "gateway")
    return Worker(settings)
