"""What the simulated managers know: tables of rows, in memory, and in a file when one is named.

The file holds every change as a JSON line and is read at the start: a manager that was killed knows
its records again.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.managers.journal import Journal

Row = dict[str, Any]


def moment() -> str:
    """Give the time as the contracts write it: ISO 8601, microseconds, UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


class Store:
    """Tables of rows by their id's text. Rows are replaced, never changed in place."""

    def __init__(self, path: Path | None = None) -> None:
        self._clear()
        if path is not None and path.exists():
            self._load(path)
        self._journal = Journal(path)

    def get(self, table: str, key: object) -> Row | None:
        """Give a row, or None."""
        return self._tables[table].get(str(key))

    def rows(self, table: str) -> Iterator[Row]:
        """Give all rows in the order in which they came."""
        return iter(list(self._tables[table].values()))

    def records_of(self, job_id: object) -> list[Row]:
        """Give a job's records, oldest first; quick, as the processor asks it before each retry."""
        return [self._tables["records"][key] for key in self._records_of_job[str(job_id)]]

    def put(self, table: str, key: object, row: Row) -> None:
        """Add or replace a row."""
        self._set(table, str(key), row)
        self._journal.write({"table": table, "key": str(key), "row": row})

    def delete(self, table: str, key: object) -> bool:
        """Remove a row; False if there was none."""
        if self.get(table, key) is None:
            return False
        self._set(table, str(key), None)
        self._journal.write({"table": table, "key": str(key), "row": None})
        return True

    def next_id(self, table: str) -> int:
        """Give the next integer id; a deleted one never comes again, as in a database."""
        return self._highest[table] + 1

    def clear(self) -> None:
        """Forget everything."""
        self._clear()
        self._journal.write({"clear": True})

    def close(self) -> None:
        """Close the file."""
        self._journal.close()

    def _clear(self) -> None:
        self._tables: defaultdict[str, dict[str, Row]] = defaultdict(dict)
        self._highest: defaultdict[str, int] = defaultdict(int)
        self._records_of_job: defaultdict[str, dict[str, None]] = defaultdict(dict)

    def _set(self, table: str, key: str, row: Row | None) -> None:
        if row is None:
            old = self._tables[table].pop(key, None)
            if table == "records" and old is not None:
                self._records_of_job[str(old["job_id"])].pop(key, None)
            return
        self._tables[table][key] = row
        if table == "records":
            self._records_of_job[str(row["job_id"])][key] = None
        if key.isdecimal():
            self._highest[table] = max(self._highest[table], int(key))

    def _load(self, path: Path) -> None:
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):  # killed while writing: nobody was answered for that change
            with path.open("r+b") as file:
                file.truncate(whole)
        for line in data[:whole].splitlines():
            change = json.loads(line)
            if change.get("clear"):
                self._clear()
            else:
                self._set(change["table"], change["key"], change["row"])
