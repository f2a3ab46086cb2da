"""How an event is told, in a line. Pure: events in, text out."""

from typing import Final

from models.base import canonical
from models.events import EventKind, ScanEvent, ScanState

_SENTENCES: Final = {
    EventKind.RETRYING: "waits and tries again",
    EventKind.COMMAND_ANSWERED: "command answered",
}
_IMAGE: Final = ".dcm"
_NAME_WIDTH: Final = 20


def tell(event: ScanEvent, name: str) -> str:
    """Write an event as a line: when, which job, what happened, why, and what to do."""
    if event.manager is not None:
        return _line(event, event.manager, _of_manager(event))
    who = name if event.record_id is None else f"{name}, record {canonical(event.record_id)}"
    what = _of_scan(event)
    if event.cause:
        what += f": {event.cause}"
    if event.advice:
        what += f". {event.advice}"
    return _line(event, who, what)


def _line(event: ScanEvent, who: str, what: str) -> str:
    return f"{event.at:%H:%M:%S}  {who:<{_NAME_WIDTH}}  {what}"


def _of_manager(event: ScanEvent) -> str:
    what = event.cause or ("is away" if event.state is ScanState.WAITING else "answers again")
    if not event.count:
        return what
    return f"{what} ({event.count} {'job waits' if event.count == 1 else 'jobs wait'})"


def _of_scan(event: ScanEvent) -> str:
    if event.event is EventKind.STATE_CHANGED:
        place = "" if event.count is None else f", place {event.count}"
        return f"{event.state}{place}"
    if event.event is EventKind.PROGRESS:
        if event.state is ScanState.QUEUED:
            return f"QUEUED, now at place {event.count}"
        return f"{event.percent} %"
    if event.event is EventKind.RESULT_REGISTERED:
        images = all(file.location.endswith(_IMAGE) for file in event.files or ())
        return "image checked and kept" if images else "raw data checked and kept"
    return _SENTENCES.get(event.event, str(event.event).lower().replace("_", " "))
