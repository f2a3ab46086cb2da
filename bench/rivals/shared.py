"""What the rivals have in common: their options, the managers' paths, and the device task."""

import argparse
import json
from typing import Any, Final
from urllib.parse import quote

LINE_READY: Final = json.dumps({"ready": True})
"""Printed by a rival that takes jobs from now on."""


def parser(module: str, doc: str | None) -> argparse.ArgumentParser:
    """Give the options of a rival that reads Kafka."""
    made = argparse.ArgumentParser(prog=f"python -m bench.rivals.{module}", description=doc)
    made.add_argument("--kafka", required=True, help="host:port")
    made.add_argument("--managers", required=True, help="host:port of the manager stub")
    made.add_argument("--prefix", required=True, help="of its topics and its group")
    return made


def address_path(device_id: str) -> str:
    """Give the device manager's path."""
    return f"/api/v1/device/{quote(device_id, safe='')}/ip_address"


def sequence_path(sequence_id: str) -> str:
    """Give the sequence manager's path."""
    return f"/api/v1/mri/sequences/{sequence_id}"


RECORD_PATH: Final = "/api/v1/exam/record"


def record_body(job: dict[str, Any]) -> dict[str, Any]:
    """Give what the exam manager is sent."""
    return {"data_path": "unknown", "comment": "bench", "job_id": str(job["id"])}


def device_task(job: dict[str, Any], sequence: dict[str, Any], record_id: int) -> dict[str, Any]:
    """Give the device's task with the whole sequence in it."""
    return {
        "device_id": job["device_id"],
        "record_id": record_id,
        "command": "START",
        "parametrized_sequence": {
            "acquisition_limits": job["acquisition_limits"],
            "sequence_parameters": job["sequence_parameters"],
            "sequence": sequence,
        },
    }
