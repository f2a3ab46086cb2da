"""The scanner's status: forwarded as an event, and evidence of how far the scan is."""

from pydantic import ValidationError

from agents.record import decide
from agents.record.book import Book
from agents.record.state import ScanRow
from models.errors import PoisonError
from models.scan import ScanStatus
from models.wire import Cause
from streams.inbound import Inbound


class StatusForwarder:
    """Takes statuses of scans."""

    def __init__(self, book: Book) -> None:
        self._book = book

    async def forward_status(self, inbound: Inbound) -> None:
        """Forward a status; one of a crowd only if it is its scan's newest, or tells more than progress.

        Raises PoisonError for what is no ScanStatus, or comes from another device than the scan's.
        """
        message = inbound.decode(ScanStatus)
        if not await self._book.in_place(inbound, message.record_id):
            return
        row = self._book.scan(inbound, message.record_id)
        if row is None:
            await self._book.keep_early(inbound, message.record_id)
            return
        if message.device_id not in (None, row.scan.device_id):
            raise PoisonError("the status names another device than the scan's", Cause.WRONG_DEVICE)
        if self._is_outrun(inbound, row, message):
            self._book.tools.metrics.outrun.inc()
            return
        gateway = self._book.tools.settings.gateway
        changed, announcements = decide.status(
            row, message, inbound.origin, self._book.now_ms(), gateway=gateway
        )
        # A row that is not final is not awaited: a redelivered status says the same again.
        await self._book.settle(
            inbound.partition, row, changed, announcements, by=inbound, durable=False
        )

    def _is_outrun(self, inbound: Inbound, row: ScanRow, message: ScanStatus) -> bool:
        """Tell whether many wait behind a status, and the next one says all that it says.

        The next one is handled after it, or comes again after a crash, so the newest is always told.
        """
        behind = self._book.tools.behind(inbound)
        if len(behind) < decide.CROWD or behind[0].value is None:
            return False
        try:
            following = ScanStatus.from_bytes(behind[0].value)
        except ValidationError:
            return False  # it becomes a dead letter, and says nothing
        return decide.is_outrun(row, message, following)
