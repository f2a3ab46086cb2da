"""The limits that a run's workers have, and by which the rules judge them: short, as a run is."""

from collections.abc import Mapping
from typing import Final

MAX_AGE_S: Final = 45.0
"""START_MAX_AGE: a queue forms and runs empty within it; what waits through two faults is HELD."""
FIRST_STATUS_S: Final = 15.0
SILENCE_S: Final = 15.0
RECONSTRUCTION_S: Final = 40.0
LEASE_S: Final = 20.0
SCAN_S: Final = 0.2
"""How long a simulated scan lasts."""

SETTINGS: Final[Mapping[str, str]] = {
    "SCANHUB_SCANS_PER_DEVICE": "1",
    "SCANHUB_START_MAX_AGE_S": str(MAX_AGE_S),
    "SCANHUB_FIRST_STATUS_S": str(FIRST_STATUS_S),
    "SCANHUB_SILENCE_S": str(SILENCE_S),
    "SCANHUB_RECONSTRUCTION_S": str(RECONSTRUCTION_S),
    "SCANHUB_LEASE_S": str(LEASE_S),
    "SCANHUB_DISK_FREE_MB": "4",
    "SCANHUB_EARLY_S": "30",
    "SCANHUB_RETRY_MOST_S": "2",
    "SCANHUB_DEVICE_RETRY_MOST_S": "4",
}
"""Settings of all workers beside those that say where things are."""
