"""Device manager. Contract: device-manager.openapi.json; devices are seeded, not registered."""

from typing import Final

from sandbox.managers.answers import (
    NO_CONTENT,
    SERVER_ERROR,
    Answer,
    RefusedError,
    as_json,
    detail,
)
from sandbox.managers.router import Call, Route
from sandbox.managers.store import Row, Store

NO_DEVICE: Final = detail(404, "Device not found")


class Devices:
    """Devices by the id that each chose: any string."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[Route]:
        """Give the operations; the list has a slash at its end, the rest has none."""
        base = "/api/v1/device"
        return [
            Route("GET", f"{base}/health/readiness", self.ready),
            Route("GET", f"{base}/{{device_id}}/ip_address", self.address),
            Route("GET", f"{base}/{{device_id}}/status", self.status),
            Route("GET", f"{base}/{{device_id}}", self.get),
            Route("DELETE", f"{base}/{{device_id}}", self.delete),
            Route("GET", f"{base}/", self.list),
        ]

    def ready(self, _call: Call) -> Answer:
        """Say that it is alive."""
        return as_json({"status": "ok"})

    def address(self, call: Call) -> Answer:
        """Give host, or host:port."""
        return as_json({"ip_address": self._device(call)["ip_address"]})

    def status(self, call: Call) -> Answer:
        """Give the status, a free text."""
        return as_json({"status": self._device(call)["status"]})

    def get(self, call: Call) -> Answer:
        """Give a device; one that was never updated makes the real service fall over."""
        row = self._device(call)
        return SERVER_ERROR if row["datetime_updated"] is None else as_json(row)

    def delete(self, call: Call) -> Answer:
        """Remove a device."""
        self._store.delete("devices", self._device(call)["id"])
        return NO_CONTENT

    def list(self, _call: Call) -> Answer:
        """Give all devices, or fall over because of one."""
        rows = list(self._store.rows("devices"))
        if any(row["datetime_updated"] is None for row in rows):
            return SERVER_ERROR
        return as_json(rows)

    def _device(self, call: Call) -> Row:
        row = self._store.get("devices", call.params["device_id"])
        if row is None:
            raise RefusedError(NO_DEVICE)
        return row
