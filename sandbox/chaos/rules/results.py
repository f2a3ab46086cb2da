"""Each announced file is registered once, is on disk as announced, and was sent to reconstruction."""

from collections.abc import Iterator

from models import wire
from models.base import canonical
from models.events import ScanState as S
from sandbox.chaos.facts import Line
from sandbox.chaos.history import History
from sandbox.chaos.rules.violation import Violation

_TOLD = ("RESULT_REGISTERED", "LATE")


def registered(history: History) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Give (kind of event, location) of each registration, by (record, sha256)."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for event in history.events:
        if event.kind in _TOLD and event.record is not None:
            for file in event.fields.get("files") or ():
                key = (event.record, str(file["sha256"]))
                found.setdefault(key, []).append((event.kind, str(file["location"])))
    return found


def taken_in(history: History) -> Iterator[Violation]:
    """Raw data and images: registered exactly once, with the right hash on disk."""
    told = registered(history)
    for key, source in _announced(history).items():
        about = (key[0], key[1])
        found = told.get(key, [])
        if len(found) != 1:
            sentence = f"a file of {source} is registered {len(found)} times"
            yield Violation(rule="results", sentence=sentence, about=about)
    for (record, sha256), found in told.items():
        for _, location in found:
            on_disk = history.files.get(location)
            if on_disk != sha256:
                what = "is not there" if on_disk is None else "has another content"
                sentence = f"the registered file {location} {what}"
                yield Violation(rule="results", sentence=sentence, about=(record, sha256))


def reconstructed(history: History) -> Iterator[Violation]:
    """Each registered raw data file has one RecoJob; a repeat has the same ids.

    Where a task of a workflow asks for it: at most one for each of its attempts.
    """
    jobs: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for message in history.of(wire.RECO_JOBS):
        job = message.json
        key = (canonical(job["record_id"]), str(job["sha256"]))
        message_id = message.headers.get(wire.MESSAGE_ID, b"").decode()
        jobs.setdefault(key, set()).add((str(job["reco_job_id"]), message_id))
    told, orders = registered(history), _orders(history)
    raw = {key for key, source in _announced(history).items() if source == wire.RESULT_UPLOADS}
    for key in sorted(raw & told.keys()):
        late = all(kind == "LATE" for kind, _ in told[key])
        count, wanted = len(jobs.get(key, ())), orders.get(key[0])
        if count > (1 if wanted is None else max(wanted, 1)) or (
            count == 0 and not late and wanted != 0
        ):
            sentence = f"a raw data file has {count} RecoJobs"
            yield Violation(rule="results", sentence=sentence, about=key)
    for key in sorted(jobs.keys() - raw):
        sentence = "a RecoJob was sent for a file that nobody announced"
        yield Violation(rule="results", sentence=sentence, about=key)


def _orders(history: History) -> dict[str, int]:
    """Give how often a workflow asked for the reconstruction of each of its scans, by record."""
    found: dict[str, int] = {}
    for facts in history.flow_facts.values():
        for key in facts.scans():
            record = history.record_of.get(key, "")
            asked = {m.json.get("attempt") for m in facts.wanted if _about(m.json, record)}
            found[record] = len(asked)
    return found


def _about(step: Line, record: str) -> bool:
    return canonical(step["record_id"]) == record


def completed(history: History) -> Iterator[Violation]:
    """See that each COMPLETED scan has an image."""
    images = {
        record
        for (record, _), found in registered(history).items()
        if any(location.endswith(".dcm") for _, location in found)
    }
    for key, changes in history.changes.items():
        record = history.record_of.get(key, "")
        if changes[-1].state == S.COMPLETED and record not in images:
            sentence = "COMPLETED, and no image is registered"
            yield Violation(rule="results", sentence=sentence, about=(key[1], record))


def _announced(history: History) -> dict[tuple[str, str], str]:
    """Give the topic in which each file, by (record, sha256), was announced by a device or a worker."""
    found: dict[tuple[str, str], str] = {}
    for message in history.of(wire.RESULT_UPLOADS):
        if not message.mark:
            upload: Line = message.json
            found[canonical(upload["record_id"]), str(upload["sha256"])] = wire.RESULT_UPLOADS
    for message in history.of(wire.RECO_RESULTS):
        result = message.json
        for file in result.get("files") or () if result["success"] else ():
            found[canonical(result["record_id"]), str(file["sha256"])] = wire.RECO_RESULTS
    return found
