"""The worker's own web port: health and metrics, nothing else, on loopback by default.

Faust's own web server stays off: it listens on all addresses and serves the tables' rows, in which
patient data lie (promise 8).
"""

from collections.abc import Callable
from typing import Any

from aiohttp import web
from mode import Service

from streams.metrics import Metrics


class WebPort(Service):
    """Serves `/metrics`, `/health/live` and `/health/ready`."""

    def __init__(
        self,
        host: str,
        port: int,
        metrics: Metrics,
        why_not_ready: Callable[[], str],
        outages: Callable[[], list[dict[str, Any]]],
        **kwargs: Any,
    ) -> None:
        self._host = host
        self._port = port
        self._metrics = metrics
        self._why_not_ready = why_not_ready
        self._outages = outages
        self._runner: web.AppRunner | None = None
        super().__init__(**kwargs)

    async def on_start(self) -> None:
        """Listen; a port that is taken is no reason not to work, but it is said."""
        app = web.Application()
        app.router.add_get("/metrics", self._serve_metrics)
        app.router.add_get("/health/live", self._live)
        app.router.add_get("/health/ready", self._ready)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            self.log.warning(
                "port %s is taken (errno %s): no health and metrics; set SCANHUB_WEB_PORT",
                self._port,
                error.errno,
            )

    async def on_stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve_metrics(self, _: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=self._metrics.text(), headers=headers)

    async def _live(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _ready(self, _: web.Request) -> web.Response:
        why_not, told = self._why_not_ready(), {"outages": self._outages()}
        if why_not:
            body = {"status": "not ready", "reason": why_not, **told}
            return web.json_response(body, status=503)
        return web.json_response({"status": "ok", **told})
