"""What a record costs that the exam manager is asked to make, in three ways."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
import httpx

from bench.floor_rounds import Part, calls
from managers.client import ACCEPTS, CONNECTIONS, JSON
from managers.exams import ExamManager
from managers.transport import TrueTransport, tls_context
from models.managers import RecordIn

_PATH: Final = "/api/v1/exam/record"
_HEADERS: Final = ACCEPTS | {"content-type": JSON}
_COMMENT: Final = "request bench-1 [4f0c1b9e-6a56-5d0a-9f4e-3f6f0b1f7c55]"
_TIMEOUT_S: Final = 30.0
# Made once: only ours writes the body and reads the answer as a record.
_BODY: Final = RecordIn(data_path="unknown", comment=_COMMENT, job_id="1").to_bytes()


@asynccontextmanager
async def http_parts(address: str) -> AsyncIterator[list[Part]]:
    """Give the parts; `address` is the manager stub's host:port. A status of 400 or more raises."""
    url = f"http://{address}{_PATH}"
    exams = ExamManager(f"http://{address}", timeout_s=_TIMEOUT_S)
    transport = TrueTransport(tls=tls_context(None), connections=CONNECTIONS)
    try:
        async with (
            httpx.AsyncClient(transport=transport, trust_env=False, timeout=_TIMEOUT_S) as client,
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
            ) as session,
        ):

            async def by_httpx(_number: int) -> None:
                response = await client.post(url, content=_BODY, headers=_HEADERS)
                response.raise_for_status()

            async def by_aiohttp(_number: int) -> None:
                async with session.post(url, data=_BODY, headers=_HEADERS) as response:
                    response.raise_for_status()
                    await response.read()

            yield [
                calls("ExamManager.create_record", lambda n: exams.create_record(n, _COMMENT)),
                calls("httpx.AsyncClient(TrueTransport).post: the same bytes", by_httpx),
                calls("aiohttp: the same bytes", by_aiohttp),
            ]
    finally:
        await exams.close()
