"""Settles dead letters: sends them once more, or puts them aside; says why one can't be replayed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from commands.base import Exit
from commands.dead_letters_known import Acts, Letter, act_on, settled
from commands.kafka import TooLargeError
from commands.show import printable
from models import wire
from models.deadletters import ActKind, LetterAct
from streams.inbound import Headers, Inbound
from streams.replay import replay_of

INPUTS: Final = frozenset({
    wire.SCAN_JOBS, wire.SCAN_COMMANDS, wire.SCAN_STATUS, wire.RESULT_UPLOADS, wire.RECO_RESULTS,
    wire.WORKFLOW_REQUESTS, wire.TASK_COMPLETIONS, wire.RESULT_REQUESTS,
})  # fmt: skip
"""Topics that others write to: what came from them may come again."""
_STEPS: Final = (wire.DEVICE_STEPS, wire.RECORD_STEPS, wire.WORKFLOW_STEPS)

MEANS_START: Final = (
    "replaying a scan job may start a scan: look at the scanner and the patient first;"
    " --start-scans says that this is meant"
)


class Sends(Protocol):
    """What sends (commands/kafka.py)."""

    async def partitions(self, topic: str) -> int:
        """Give how many partitions a topic has."""
        ...

    async def post(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers, *, unsure: str
    ) -> None:
        """Send a message; the broker has it on return."""
        ...


class Picks(Protocol):
    """What gives letters (commands/reading.py)."""

    async def at(self, partition: int, offset: int) -> Inbound | None:
        """Give the letter at a place."""
        ...


def refusal(letter: Letter, now: datetime, remember: timedelta) -> str | None:
    """Say why a letter can't be replayed; None if it can."""
    if wire.DEAD_STUB_SIZE in letter.own:
        return "it was too large to be kept: only its beginning is here. Its sender has to send it again"
    if letter.topic == wire.DEVICE_TASKS:
        return "a device task is no longer right by now. Replay or release its scan job"
    if letter.topic in _STEPS:
        return "the processor's own steps are no longer right by now, and are not replayed"
    if letter.topic not in INPUTS:
        return "it names no topic that the processor reads"
    if now - letter.first > remember:
        days = remember / timedelta(days=1)
        return (
            f"it failed for the first time more than {days:g} days ago, and what was done for it is"
            " remembered no longer (SCANHUB_REMEMBER_REQUESTS_DAYS). Its sender has to send it again"
        )
    return None


def may_start(letters: Sequence[Letter]) -> bool:
    """Tell whether a replay of some letters may start a scan."""
    return any(letter.topic == wire.SCAN_JOBS for letter in letters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """One call of `replay` or `discard`: what it knows, and what it says of each letter."""

    kafka: Sends
    picker: Picks
    acts: Acts
    by: str | None
    again: bool
    """Whether letters that are settled already are meant as well."""
    remember: timedelta

    def now(self) -> datetime:
        """Give the time, for the age of letters."""
        return datetime.now(UTC)

    async def replay(self, letters: Sequence[Letter]) -> Exit:
        """Send letters to where they came from, in order, and mark each as settled.

        The message goes first, then the mark. After a crash in between the letter is open still, and
        is replayed again: that is harmless, as it has the same identity.
        """
        good = True
        for letter in letters:
            reason = self._settled(letter) or refusal(letter, self.now(), self.remember)
            if reason is None:
                reason = await self._replay(letter)
            if reason is not None:
                good = False
                print(printable(f"{letter.id}: not replayed: {reason}"))
        return Exit.GOOD if good else Exit.ERROR

    async def _replay(self, letter: Letter) -> str | None:
        raw = await self.picker.at(letter.partition, letter.offset)
        if raw is None or raw.timestamp_ms != letter.written_ms:
            return "it is no longer there"
        replay = replay_of(raw, await self.kafka.partitions(letter.topic))
        unsure = f"letter {letter.id} may have been sent. Replayed again it is the same message"
        try:
            await self.kafka.post(
                replay.topic, replay.key, replay.value, replay.headers, unsure=unsure
            )
        except TooLargeError as error:
            return f"{error}, with the headers that are added"
        await self._mark(letter, ActKind.REPLAYED, replay.attempts)
        print(printable(f"{letter.id}: replayed to {replay.topic}, attempt {replay.attempts}"))
        return None

    async def discard(self, letters: Sequence[Letter]) -> Exit:
        """Mark letters as settled, without doing anything for them; they stay where they are."""
        good = True
        for letter in letters:
            if (reason := self._settled(letter)) is not None:
                good = False
                print(printable(f"{letter.id}: not discarded: {reason}"))
                continue
            await self._mark(letter, ActKind.DISCARDED, None)
            print(f"{letter.id}: discarded")
        return Exit.GOOD if good else Exit.ERROR

    def _settled(self, letter: Letter) -> str | None:
        act = act_on(letter, self.acts)
        if act is None or self.again:
            return None
        return f"it is settled: {settled(act)}. --all means such ones too"

    async def _mark(self, letter: Letter, kind: ActKind, attempts: int | None) -> None:
        act = LetterAct(
            letter=letter.id,
            written_ms=letter.written_ms,
            act=kind,
            at=self.now(),
            by=self.by,
            attempts=attempts,
        )
        await self.kafka.post(
            wire.DEAD_LETTER_ACTS,
            letter.id.encode(),
            act.to_bytes(),
            (),
            unsure=f"letter {letter.id} may be shown as open still",
        )
