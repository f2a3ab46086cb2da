"""Sequence manager. Contract: sequence-manager.openapi.json, but for plots and multipart upload.

Its unhandled exceptions are JSON, unlike those of the other managers.
"""

import re
from typing import Final
from uuid import uuid4

from sandbox.managers.answers import NO_CONTENT, Answer, RefusedError, as_json, detail
from sandbox.managers.bodies import SequenceIn
from sandbox.managers.router import Call, Route
from sandbox.managers.store import Row, Store, moment

NO_SEQUENCE: Final = detail(404, "MRI sequence not found")
NO_FILE: Final = detail(404, "Binary data not found")
NOT_UTF8: Final = detail(
    500, "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"
)
"""What a sequence that was seeded with `file` null answers: its stored file is not UTF-8."""

_OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")


class Sequences:
    """MRI sequences with their files' text."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[Route]:
        """Give the operations."""
        base = "/api/v1/mri/sequences"
        return [
            Route("GET", "/health", self.health),
            Route("GET", "/readiness", self.ready),
            Route("GET", f"{base}/mri-sequence-file/{{sequence_id}}", self.file),
            Route("GET", f"{base}/{{sequence_id}}", self.get),
            Route("PUT", f"{base}/{{sequence_id}}", self.update),
            Route("DELETE", f"{base}/{{sequence_id}}", self.delete),
            Route("GET", f"{base}/", self.list),
            Route("POST", f"{base}/", self.create),
        ]

    def health(self, _call: Call) -> Answer:
        """Say that the database is connected."""
        return as_json({"status": "OK"})

    def ready(self, _call: Call) -> Answer:
        """Say that it is alive."""
        return as_json({"status": "ready"})

    def get(self, call: Call) -> Answer:
        """Give a sequence with its file's text."""
        return _sequence_out(self._sequence(call, NO_SEQUENCE))

    def file(self, call: Call) -> Answer:
        """Give a sequence's file as bytes."""
        row = self._sequence(call, NO_FILE)
        name = f"{call.url.query.get('name', 'sequence')}{row['file_extension'] or ''}"
        headers = {"Content-Disposition": f"attachment; filename={_header_text(name)}"}
        content = b"\xff" if row["file"] is None else row["file"].encode()
        return Answer(200, content, "application/octet-stream", headers)

    def list(self, _call: Call) -> Answer:
        """Give all sequences; one file that is not UTF-8 breaks the answer for all."""
        rows = list(self._store.rows("sequences"))
        return NOT_UTF8 if any(row["file"] is None for row in rows) else as_json(rows)

    def create(self, call: Call) -> Answer:
        """Make a sequence."""
        fields = call.read(SequenceIn).model_dump()
        row = {"_id": uuid4().hex[:24]} | fields | {"created_at": moment(), "updated_at": moment()}
        self._store.put("sequences", row["_id"], row)
        return as_json(row, 201)

    def update(self, call: Call) -> Answer:
        """Replace a sequence."""
        fields = call.read(SequenceIn).model_dump()
        row = self._sequence(call, NO_SEQUENCE) | fields | {"updated_at": moment()}
        self._store.put("sequences", row["_id"], row)
        return as_json(row)

    def delete(self, call: Call) -> Answer:
        """Remove a sequence."""
        self._store.delete("sequences", self._sequence(call, NO_SEQUENCE)["_id"])
        return NO_CONTENT

    def _sequence(self, call: Call, missing: Answer) -> Row:
        sequence_id = call.params["sequence_id"]
        if not _OBJECT_ID.fullmatch(sequence_id):
            sentence = "it must be a 12-byte input or a 24-character hex string"
            raise RefusedError(detail(500, f"{sequence_id!r} is not a valid ObjectId, {sentence}"))
        row = self._store.get("sequences", sequence_id.lower())
        if row is None:
            raise RefusedError(missing)
        return row


def _sequence_out(row: Row) -> Answer:
    return NOT_UTF8 if row["file"] is None else as_json(row)


def _header_text(name: str) -> str:
    return "".join(c for c in name if c.isprintable() and c.isascii())
