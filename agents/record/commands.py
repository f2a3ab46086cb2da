"""Commands to a scan that has a record: each is answered once, and done once."""

from agents.record import deeds
from agents.record.book import Book, Source
from agents.record.state import ScanRow
from agents.tools import record_key
from models import wire
from models.scan import ScanCommand
from models.steps import DeviceStep, DeviceStepKind, RecordStep


class Commands:
    """Answers commands, carries them out, or hands them to the scan's device."""

    def __init__(self, book: Book) -> None:
        self._book = book

    async def take(self, partition: int, row: ScanRow | None, step: RecordStep, mark: str) -> None:
        """Take a command that the device's aggregate passed on.

        The answer is announced before a scan that goes on is written, and after one that ends is
        durable (Book.settle): a crash in between says the same again, with the same ids.
        """
        book, command = self._book, step.command
        if command is None:
            return
        if row is None:
            said = deeds.unknown(command, step.record_id)
            await book.tools.announce([said], key=record_key(step.record_id))
            return
        gateway = book.tools.settings.gateway
        answer = deeds.answer(row, command, book.now_ms(), gateway=gateway)
        if answer is None:
            await self._hand_over(row, command)
        elif answer.row is row:
            await book.announce(row, answer.announcements)
        elif answer.started is None:
            await book.settle(
                partition, row, answer.row, answer.announcements, by=mark, source=Source.PERSON
            )
        else:
            await book.confirm(
                partition, row, answer.row, answer.announcements, started=answer.started
            )

    async def _hand_over(self, row: ScanRow, command: ScanCommand) -> None:
        """Let the device's aggregate carry it out, and answer: the scan is in its queue."""
        scan = row.scan
        named = command.model_copy(update={"scan_request_id": scan.request_id})
        step = DeviceStep(kind=DeviceStepKind.COMMAND, device_id=scan.device_id, command=named)
        await self._book.tools.outbox.deliver_step(
            wire.DEVICE_STEPS, scan.device_id, step.to_bytes()
        )
