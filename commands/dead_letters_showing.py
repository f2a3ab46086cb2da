"""Shows dead letters. Never a key, a value or a sender's header, unless a value is asked for."""

import sys
from collections import Counter
from hashlib import sha256
from heapq import heappush, heappushpop
from json import dumps

from commands.dead_letters_known import HEAD, Letter, settled
from commands.show import at_terminal, plain_pairs, printable, show_table
from models import wire
from models.deadletters import LetterAct
from streams.inbound import Inbound

MAY_HOLD = "what follows is the value as it came: it may hold patient data"


class Listing:
    """A list in the making: counts all, keeps the newest `most`; as JSON it prints each at once."""

    def __init__(self, *, json: bool, most: int) -> None:
        self._json = json
        self._most = most
        self._counts: Counter[tuple[str, str]] = Counter()
        self._newest: list[tuple[float, int, int, tuple[str, ...]]] = []

    def take(self, letter: Letter, act: LetterAct | None) -> None:
        """Take one."""
        if self._json:
            print(dumps(letter.facts(act)))
            return
        self._counts[letter.topic, letter.cause] += 1
        push = heappush if len(self._newest) < self._most else heappushpop
        push(
            self._newest,
            (letter.when.timestamp(), letter.partition, letter.offset, letter.row(act)),
        )

    def show(self) -> None:
        """Show those kept, the newest last, and how many there are of each kind."""
        if self._json:
            return
        rows = [row for *_, row in sorted(self._newest)]
        if rows and at_terminal():
            show_table(rows, HEAD)
        elif rows:
            for row in rows:
                print(printable("  ".join(row)))
        for line in self._summary(len(rows)):
            print(printable(line))

    def _summary(self, shown: int) -> list[str]:
        total = sum(self._counts.values())
        lines = [f"{n} of {topic} ({cause})" for (topic, cause), n in self._counts.most_common()]
        if total > shown:
            lines.append(f"the newest {shown} are shown, --most shows more")
        return [*lines, f"{total or 'no'} dead {'letter' if total == 1 else 'letters'}"]


def show_letter(raw: Inbound, act: LetterAct | None, *, value: bool) -> None:
    """Show one; with `value` its bytes instead, and a warning where they do not go."""
    if value:
        print(MAY_HOLD, file=sys.stderr, flush=True)
        sys.stdout.buffer.write(raw.value or b"")
        sys.stdout.buffer.flush()
        return
    rows = fact_rows(raw, act)
    if at_terminal():
        show_table(rows)
        return
    for line in plain_pairs(rows):
        print(line)


def fact_rows(raw: Inbound, act: LetterAct | None) -> list[tuple[str, str]]:
    """Give what is known of a letter, named."""
    letter, content = Letter.of(raw), raw.value or b""
    size, digest = str(len(content)), sha256(content).hexdigest()
    if wire.DEAD_STUB_SIZE in letter.own:
        size = f"{letter.own[wire.DEAD_STUB_SIZE]}, only the first {len(content)} are kept"
        digest = letter.own.get(wire.DEAD_STUB_SHA256, "")
    elif wire.DEAD_NULL_VALUE in letter.own or raw.value is None:
        size, digest = "no value", ""
    rows = [
        ("id", letter.id),
        ("state", "open" if act is None else settled(act)),
        ("request", letter.request_id),
        ("bytes", size),
        ("sha256", digest),
        ("key", "none" if letter.key_size is None else f"{letter.key_size} bytes"),
        *letter.own.items(),
    ]
    return [row for row in rows if row[1]]
