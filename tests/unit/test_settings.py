"""Settings: read from the environment once, refused with a sentence where they are wrong."""

import os
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from models import wire
from settings import DeviceDialect, RecoDialect, RecordsDialect, Settings
from streams.topics import Topics

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("SCANHUB_") or name.endswith("_MANAGER_URI"):
            monkeypatch.delenv(name)


def read(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings.from_environment(dict(os.environ))


def test_the_defaults_are_those_of_the_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch)
    assert settings.sequence_manager_uri == "http://host.docker.internal:8003"
    assert settings.exam_manager_uri == "http://host.docker.internal:8004"
    assert settings.device_manager_uri == settings.login_manager_uri == ""
    assert (settings.kafka, settings.app_id) == ("127.0.0.1:9092", "scanhub-workflow")
    assert (settings.state_dir, settings.data_lake) == (Path("state"), Path("/app/data_lake"))
    assert (settings.topic_prefix, settings.topic_names, settings.partitions) == ("", {}, 8)
    assert settings.create_topics
    assert settings.gateway
    assert settings.records is RecordsDialect.INTEGER
    assert settings.device_dialect is DeviceDialect.TASK
    assert settings.device_path == "/api/start-scan"
    assert settings.reco_dialect is RecoDialect.OWN
    assert settings.device_networks == ()
    assert (settings.cache_s, settings.start_max_age_s) == (5, 900)
    assert (settings.remember_requests_days, settings.scans_per_device) == (14, 1)
    assert settings.keep_records_days == 90
    assert (settings.web_host, settings.web_port) == ("127.0.0.1", 6066)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("sequences:8003", "http://sequences:8003"),
        ("http://sequences", "http://sequences"),
        ("https://hub.example/api/", "https://hub.example/api"),
        (" http://[::1]:80/ ", "http://[::1]:80"),
        ("", "http://host.docker.internal:8003"),  # as compose gives what is not set
    ],
)
def test_an_address_may_come_without_a_scheme(
    monkeypatch: pytest.MonkeyPatch, given: str, expected: str
) -> None:
    assert read(monkeypatch, SEQUENCE_MANAGER_URI=given).sequence_manager_uri == expected


@pytest.mark.parametrize(
    "given", ["ftp://x", "http://", "http://user:pass@x", "http://x?a=1", "http://x/#f", "a b"]
)
def test_what_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    with pytest.raises(ValidationError, match="manager's address"):
        read(monkeypatch, EXAM_MANAGER_URI=given)


def test_a_password_in_an_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError) as caught:
        read(monkeypatch, EXAM_MANAGER_URI="http://user:s3cret@x")
    assert "s3cret" not in str(caught.value)


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(
        monkeypatch,
        SCANHUB_TOPIC_ALLOW=" a, b ,,",
        SCANHUB_DEVICE_NETWORKS="10.0.0.0/8,fd00::/8",
    )
    assert settings.topic_allow == ("a", "b")
    assert settings.device_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert read(monkeypatch, SCANHUB_DEVICE_NETWORKS="").device_networks == ()
    with pytest.raises(ValidationError):
        read(monkeypatch, SCANHUB_DEVICE_NETWORKS="10.0.0.1/8")


def test_topics_are_renamed_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(
        monkeypatch,
        SCANHUB_TOPIC_RECO_JOBS="mri_cartesian_reco",
        SCANHUB_TOPIC_DEAD_LETTERS="dead",
        SCANHUB_TOPIC_PREFIX="p-",
        SCANHUB_TOPIC_ALLOW="x",
    )
    assert settings.topic_names == {"reco-jobs": "mri_cartesian_reco", "dead-letters": "dead"}
    topics = Topics(prefix=settings.topic_prefix, renamed=settings.topic_names)
    assert topics[wire.RECO_JOBS] == "p-mri_cartesian_reco"


def test_it_reads_the_mapping_that_it_is_given() -> None:
    settings = Settings.from_environment(
        {"SCANHUB_PARTITIONS": "3", "SCANHUB_TOPIC_RECO_JOBS": "r"}
    )
    assert settings.topic_names == {"reco-jobs": "r"}
    assert settings.partitions == 3


@pytest.mark.parametrize("records", ["uuid", "task"])
def test_the_existing_reconstruction_worker_takes_integer_ids_only(
    monkeypatch: pytest.MonkeyPatch, records: str
) -> None:
    with pytest.raises(ValidationError, match=r"SCANHUB_RECO_DIALECT=upstream .*SCANHUB_RECORDS"):
        read(monkeypatch, SCANHUB_RECO_DIALECT="upstream", SCANHUB_RECORDS=records)
    ok = read(monkeypatch, SCANHUB_RECO_DIALECT="upstream", SCANHUB_RECORDS="integer")
    assert ok.reco_dialect is RecoDialect.UPSTREAM


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SCANHUB_PARTITIONS", "0"),
        ("SCANHUB_PARTITIONS", "many"),
        ("SCANHUB_WEB_PORT", "70000"),
        ("SCANHUB_START_MAX_AGE_S", "0"),
        ("SCANHUB_START_MAX_AGE_S", "nan"),
        ("SCANHUB_HTTP_TIMEOUT_S", "6"),
        ("SCANHUB_RECORDS", "guid"),
        ("SCANHUB_DEVICE_PATH", "start-scan"),
        ("SCANHUB_DEVICE_PATH", "/a?b"),
        ("SCANHUB_APP_ID", "a/b"),
        ("SCANHUB_WORKER_ID", "a b"),
    ],
)
def test_what_can_not_be_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(ValidationError):
        read(monkeypatch, **{name: value})


def test_settings_never_change(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch)
    with pytest.raises(ValidationError):
        setattr(settings, "partitions", 3)  # noqa: B010 - for the checker it is read-only


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_importing_settings_reads_no_environment() -> None:
    poison = {
        "SCANHUB_PARTITIONS": "poison",
        "SCANHUB_WEB_PORT": "poison",
        "EXAM_MANAGER_URI": "ftp://poison",
        "SCANHUB_DEVICE_NETWORKS": "poison",
    }
    assert run("import settings", **poison).returncode == 0
    made = run(
        "import settings; import os; settings.Settings.from_environment(os.environ)", **poison
    )
    assert made.returncode != 0
    assert "partitions" in made.stderr


def test_the_app_says_in_a_sentence_what_clashes() -> None:
    clash = {"SCANHUB_RECO_DIALECT": "upstream", "SCANHUB_RECORDS": "uuid"}
    ended = run("import faust_app", **clash)
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    assert "SCANHUB_RECO_DIALECT" in ended.stderr
    assert "SCANHUB_RECORDS" in ended.stderr


def test_a_request_is_not_remembered_for_longer_than_its_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ValidationError, match="SCANHUB_KEEP_RECORDS_DAYS is below"):
        read(monkeypatch, SCANHUB_KEEP_RECORDS_DAYS="13.9")
    for days in ("0", "14"):  # 0: for ever
        assert read(monkeypatch, SCANHUB_KEEP_RECORDS_DAYS=days).keep_records_days == float(days)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EXAM_MANAGER_URI", "ftp://x"),
        ("SCANHUB_PARTITIONS", "many"),
        ("SCANHUB_TOPIC_RECO_JOB", "misspelt"),
    ],
)
def test_the_app_names_the_setting_that_is_wrong(name: str, value: str) -> None:
    ended = run("import faust_app", **{name: value})
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    assert name.removeprefix("SCANHUB_").lower() in ended.stderr.lower()
