"""Every setting, typed, from the environment. Imports nothing of ours.

Only `faust_app.py` gives it the environment; importing this reads nothing.
"""

import re
import socket
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

SEQUENCE_MANAGER_URI: Final = "host.docker.internal:8003"
EXAM_MANAGER_URI: Final = "host.docker.internal:8004"


class RecordsDialect(StrEnum):
    """How the exam manager at hand keeps records."""

    INTEGER = "integer"
    UUID = "uuid"
    TASK = "task"


class DeviceDialect(StrEnum):
    """Which body a device takes: DeviceTask or the ScanRequest of 2023."""

    TASK = "task"
    REQUEST = "request"


class RecoDialect(StrEnum):
    """Which reconstruction worker reads `reco-jobs`: one like ours, or the one that exists."""

    OWN = "own"
    UPSTREAM = "upstream"


def _uri(value: str) -> str:
    """Give a base address with a scheme and without a trailing slash."""
    text = value.strip()
    if not text:
        return ""
    if "://" not in text:
        text = f"http://{text}"
    if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", text):
        raise ValueError("a manager's address is host[:port] or http(s)://host[:port][/path]")
    return text.rstrip("/")


_Seconds = Annotated[float, Field(gt=0, le=86_400 * 365)]


class Settings(BaseModel):
    """All settings of a worker; frozen. `topic_names` holds the SCANHUB_TOPIC_<NAME> given."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True
    )

    sequence_manager_uri: str = SEQUENCE_MANAGER_URI
    exam_manager_uri: str = EXAM_MANAGER_URI
    device_manager_uri: str = ""
    login_manager_uri: str = ""

    kafka: str = "127.0.0.1:9092"
    """Bootstrap servers, separated by commas."""
    app_id: str = Field("scanhub-workflow", pattern=r"^[A-Za-z0-9._-]{1,100}$")
    worker_id: str = Field(default_factory=socket.gethostname, pattern=r"^[A-Za-z0-9._-]{1,100}$")
    """One stable name for each replica: it is the static member's name at the broker."""
    state_dir: Path = Path("state")
    data_lake: Path = Path("/app/data_lake")

    topic_prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]{0,100}$")
    topic_names: dict[str, str] = Field(default_factory=dict)
    partitions: int = Field(8, ge=1, le=1000)
    create_topics: bool = True
    topic_allow: tuple[str, ...] = ()
    """Topics that a task may name besides the reco topic; separated by commas."""

    records: RecordsDialect = RecordsDialect.INTEGER
    device_dialect: DeviceDialect = DeviceDialect.TASK
    device_path: str = Field("/api/start-scan", pattern=r"^/[A-Za-z0-9._~/-]{0,200}$")
    gateway: bool = True
    """Whether the processor posts device tasks; off where devices read Kafka themselves."""
    reco_dialect: RecoDialect = RecoDialect.OWN
    device_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks in which devices may be; empty = any. Separated by commas."""

    ca_file: Path | None = None
    """Roots for `https://` managers, PEM, in place of the usual ones."""
    user: str = ""
    password_file: Path | None = None

    cache_s: float = Field(5.0, ge=0, le=3600)
    start_max_age_s: _Seconds = 900.0
    remember_requests_days: float = Field(14.0, gt=0)
    """How long a request that is over, or a workflow, is remembered; then its id is a new one's."""
    keep_records_days: float = Field(90.0, ge=0)
    """How long after its end a scan is answered for; its files stay where they are. 0 = for ever."""
    scans_per_device: int = Field(1, ge=0)
    """Scans that a device may have at once; 0 = no limit and no queue, as the old manager."""
    http_timeout_s: float = Field(5.0, gt=0, le=5.0)
    """One HTTP attempt, whole: how long a handler may hold its slot."""
    retry_first_s: _Seconds = 0.5
    retry_most_s: _Seconds = 5.0
    device_retry_most_s: _Seconds = 20.0
    """Longest wait before a device that did not answer is tried again."""
    first_status_s: _Seconds = 300.0
    """How long a scan that was started, or may have been, may be silent before it is OVERDUE."""
    silence_s: _Seconds = 600.0
    """The same between two statuses of a running scan, and from the last one to its result."""
    reconstruction_s: _Seconds = 3600.0
    """How long a reconstruction may take before it is OVERDUE."""
    processing_s: _Seconds = 3600.0
    """How long a processing task of a workflow may take before that is announced."""
    task_retries: int = Field(0, ge=0, le=100)
    """How often a workflow's task that failed is tried again by itself; a device's is a new scan."""
    lease_s: _Seconds = 7200.0
    """How long a scan may hold its device before that is announced, and again after each such time."""
    disk_free_mb: int = Field(512, ge=0)
    """Files are not taken in while the data lake's disk has less free space, MiB; 0 = no limit."""
    early_s: _Seconds = 60.0
    """How long a message waits for its record to become known."""
    tidy_s: _Seconds = 60.0
    """How long after a scan's end a spare record is looked for once more: a manager may be slow."""
    in_flight: int = Field(100, ge=1, le=10_000)
    """Messages that one aggregate works on at once."""
    file_tasks: int = Field(4, ge=1, le=64)
    """Files that are copied and checked at once; as many are served beside them."""

    clock_offset_s: float = 0.0
    """Steps the worker's wall clock; for the chaos run, which shows that a wrong clock does no harm."""

    web_host: str = "127.0.0.1"
    web_port: int = Field(6066, ge=0, le=65_535)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read settings from a mapping (`os.environ`); what is empty counts as not set.

        Raises ValidationError; `explain_settings` says what is wrong.
        """
        given = {name: value for name, value in environment.items() if value.strip()}
        found: dict[str, Any] = {
            field: given[variable(field)]
            for field in cls.model_fields
            if field != "topic_names" and variable(field) in given
        }
        taken = {variable(field) for field in cls.model_fields}
        prefix = variable("topic_")
        found["topic_names"] = {
            name.removeprefix(prefix).lower().replace("_", "-"): value
            for name, value in given.items()
            if name.startswith(prefix) and name not in taken
        }
        return cls(**found)

    @field_validator(
        "sequence_manager_uri", "exam_manager_uri", "device_manager_uri", "login_manager_uri"
    )
    @classmethod
    def _with_scheme(cls, value: str) -> str:
        return _uri(value)

    @field_validator("topic_allow", "device_networks", mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.reco_dialect is RecoDialect.UPSTREAM and self.records is not RecordsDialect.INTEGER:
            raise ValueError(
                "SCANHUB_RECO_DIALECT=upstream takes integer record ids only:"
                " it clashes with SCANHUB_RECORDS other than integer"
            )
        if 0 < self.keep_records_days < self.remember_requests_days:
            raise ValueError(
                "SCANHUB_KEEP_RECORDS_DAYS is below SCANHUB_REMEMBER_REQUESTS_DAYS:"
                " a request that is known would name a record that is not"
            )
        return self


def variable(field: str) -> str:
    """Give the environment variable of a setting."""
    return field.upper() if field.endswith("_manager_uri") else f"SCANHUB_{field.upper()}"


def explain_settings(error: ValidationError) -> str:
    """Say which settings are wrong and how, without their values."""
    problems = error.errors(include_input=False, include_context=False, include_url=False)
    told = []
    for problem in problems:
        where = f"{variable(str(problem['loc'][0]))}: " if problem["loc"] else ""
        told.append(where + str(problem["msg"]).removeprefix("Value error, "))
    return "; ".join(told)
