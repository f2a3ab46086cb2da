"""A simulated service: a request meets its faults, its handler and the log, in this order.

Every service answers `/_sandbox/…` beside its own paths; those meet no faults and are not logged.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from sandbox.managers.answers import (
    NOT_FOUND,
    SERVER_ERROR,
    Answer,
    RefusedError,
    as_json,
)
from sandbox.managers.journal import Journal, body_for_log, now
from sandbox.managers.knobs import Faults, Knobs, Plan
from sandbox.managers.listener import Listener
from sandbox.managers.router import Call, Handler, Router

CONTROL = "/_sandbox/"


class Service:
    """One service on one port. `controls` are by method and name: ("GET", "records")."""

    def __init__(
        self,
        name: str,
        router: Router,
        *,
        faults: Faults[Any],
        journal: Journal,
        controls: Mapping[tuple[str, str], Handler],
        port: int = 0,
    ) -> None:
        self.name = name
        self.router = router
        self.faults = faults
        self.listener = Listener(self.handle, port)
        self._journal = journal
        self._controls = controls
        self._knobs_changed = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Take one request from the port."""
        if request.path.startswith(CONTROL):
            return await self.control(request, request.path.removeprefix(CONTROL))
        entry: dict[str, Any] = now()
        plan = self.faults.plan(request.method, request.path)
        call = Call(
            method=request.method,
            url=request.url,
            headers=request.headers,
            body=await request.read(),
        )
        entry |= self._told(call)
        if plan.wait_s:
            await asyncio.sleep(plan.wait_s)
        answer = self._answer(plan, call)
        status = None if answer is None or plan.after != "answer" else answer.status
        # Before the answer leaves: whoever was answered finds the line, even after a kill.
        self._journal.write(entry | {"status": status, "outcome": plan.cause})
        if plan.answer_wait_s:
            await asyncio.sleep(plan.answer_wait_s)
        if "hang" in (plan.before, plan.after):
            await self._knobs_changed.wait()
        if answer is None or plan.after != "answer":
            return _dropped(request)
        return _response(answer)

    async def control(self, request: web.Request, name: str) -> web.StreamResponse:
        """Answer one of the sandbox's own paths; comes here from the control port too."""
        call = Call(
            method=request.method,
            url=request.url,
            headers=request.headers,
            body=await request.read(),
        )
        try:
            response = _response(self._controlled(call, name))
        except RefusedError as refused:
            response = _response(refused.answer)
        if self.faults.knobs.outage == "refuse":
            response.force_close()
            await self.listener.refuse(keep=request.transport)
        else:
            await self.listener.accept()
        return response

    def _answer(self, plan: Plan, call: Call) -> Answer | None:
        if plan.before == "500":
            return SERVER_ERROR
        if plan.before != "go":
            return None
        answer = self.router.answer(call)
        if plan.answer_status is None:
            return answer
        if plan.answer_status >= SERVER_ERROR.status:
            return Answer(plan.answer_status, SERVER_ERROR.body, SERVER_ERROR.content_type)
        return Answer(plan.answer_status, answer.body, answer.content_type)

    def _controlled(self, call: Call, name: str) -> Answer:
        if name == "knobs" and call.method == "POST":
            self._set(call.read(type(self.faults.knobs)))
        elif name == "reset" and call.method == "POST":
            self._set(self.faults.default.model_copy(deep=True))
        handler = self._controls.get((call.method, name))
        if handler is not None:
            return handler(call)
        return as_json(self.faults.knobs.model_dump()) if name in ("knobs", "reset") else NOT_FOUND

    def _set(self, knobs: Knobs) -> None:
        self.faults.set(knobs)
        self._knobs_changed.set()  # what hangs is dropped now
        self._knobs_changed = asyncio.Event()

    def _told(self, call: Call) -> dict[str, Any]:
        with_body = call.method in ("POST", "PUT")
        return {
            "service": self.name,
            "method": call.method,
            "path": call.url.path,
            "query": call.url.query_string,
            "body": body_for_log(call.body) if with_body else None,
            "request_id": call.headers.get("request-id"),
        }


def _response(answer: Answer) -> web.Response:
    return web.Response(
        status=answer.status,
        body=answer.body or None,
        content_type=answer.content_type,
        headers=answer.headers,
    )


def _dropped(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)  # goes nowhere: the connection is gone
