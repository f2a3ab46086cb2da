"""Dead letters are exactly the messages that are at fault, each at least once and always the same."""

from collections.abc import Iterator

from models import wire
from sandbox.chaos.facts import Message
from sandbox.chaos.history import History
from sandbox.chaos.rules.violation import Violation


def buried(history: History) -> Iterator[Violation]:
    """Every malformed message that Kafka has is a dead letter, and nothing else is one."""
    letters: dict[str, list[Message]] = {}
    for letter in history.of(wire.DEAD_LETTERS):
        letters.setdefault(letter.mark, []).append(letter)
    sent = {message.mark for message in history.messages if message.mark.startswith("bad-")}
    for mark in sorted(sent - letters.keys()):
        sentence = f"{mark} is malformed, and is no dead letter"
        yield Violation(rule="letters", sentence=sentence, about=(mark,))
    for mark, found in sorted(letters.items()):
        if mark not in sent:
            letter = found[0]
            cause = letter.headers.get(wire.DEAD_CAUSE, b"").decode()
            why = letter.headers.get(wire.DEAD_MESSAGE, b"").decode()
            topic = letter.headers.get(wire.DEAD_TOPIC, b"").decode()
            request = letter.headers.get(wire.REQUEST_ID, b"").decode()
            sentence = f"{mark or 'a message of ' + topic} became a dead letter: {cause}, {why}"
            yield Violation(rule="letters", sentence=sentence, about=(mark, request))
        elif len({(one.value, one.headers.get(wire.DEAD_CAUSE)) for one in found}) > 1:
            sentence = f"{mark} is a dead letter {len(found)} times, and not always the same"
            yield Violation(rule="letters", sentence=sentence, about=(mark,))
