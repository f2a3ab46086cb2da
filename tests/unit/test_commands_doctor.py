import os
import tomllib
from pathlib import Path

import pytest

from commands.check import good, unsure, wrong
from commands.check_folders import check_data_lake, check_state, try_link
from commands.check_managers import Manager, check_managers, era_of, judge_era, judge_health
from commands.check_settings import PINNED, check_settings, check_versions, judge_version
from commands.doctor import judge_topics, verdict
from settings import RecordsDialect, Settings
from streams.provision import Finding
from tests.unit.test_managers_servers import free_port, says, serving

R = RecordsDialect
MANAGER = Manager(name="exam manager", setting="EXAM_MANAGER_URI", uri="http://x:1", health=("/h",))


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("LOGIN_MANAGER_URI", "SCANHUB_USER", "SCANHUB_PASSWORD_FILE", "SCANHUB_RECORDS"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("statuses", "tokens", "right", "told"),
    [
        ([200, 200], False, True, "answers at"),
        ([200, None], False, False, "no answer"),
        ([200, 503], False, False, "HTTP 503"),
        ([401], True, True, "asks for a token"),
        ([401], False, False, "LOGIN_MANAGER_URI is needed"),
        ([404], False, False, "right address"),
        ([307], False, False, "HTTP 307"),
    ],
)
def test_health_is_judged(statuses: list[int | None], tokens: bool, right: bool, told: str) -> None:
    check = judge_health(MANAGER, statuses, tokens=tokens)
    assert check.right is right
    assert told in check.sentence


@pytest.mark.parametrize(
    ("integer", "uuid", "era"),
    [
        (200, 422, R.INTEGER),
        (422, 200, R.UUID),
        (404, 404, R.TASK),
        (405, 404, R.TASK),
        (200, 200, None),
        (500, 500, None),
        (401, 401, None),
        (None, 404, None),
    ],
)
def test_the_era_is_told_from_two_answers(
    integer: int | None, uuid: int | None, era: RecordsDialect | None
) -> None:
    assert era_of(integer, uuid) is era


def test_the_era_is_compared_with_the_setting() -> None:
    assert judge_era(R.INTEGER, R.INTEGER).right is True
    assert judge_era(None, R.INTEGER).right is None
    other = judge_era(R.TASK, R.INTEGER)
    assert other.right is False
    assert "set SCANHUB_RECORDS=task" in other.sentence


async def test_managers_are_asked_and_nothing_is_made(clean: pytest.MonkeyPatch) -> None:
    async with serving(says(404)) as server:
        clean.setenv("EXAM_MANAGER_URI", server.uri)
        clean.setenv("SEQUENCE_MANAGER_URI", server.uri)
        clean.setenv("DEVICE_MANAGER_URI", f"127.0.0.1:{free_port()}")
        checks = await check_managers(Settings.from_environment(os.environ))
    assert [check.right for check in checks] == [False, False, False, True]
    assert {request.method for request in server.taken} == {"GET"}


async def test_an_exam_manager_that_answers_is_asked_for_its_era(
    clean: pytest.MonkeyPatch,
) -> None:
    async with serving(says(200, [])) as server:
        for name in ("EXAM", "SEQUENCE", "DEVICE"):
            clean.setenv(f"{name}_MANAGER_URI", server.uri)
        checks = await check_managers(Settings.from_environment(os.environ))
    assert [check.right for check in checks] == [True, None, True, True, True]
    assert checks[1].what == "records"


def test_a_data_lake_that_works(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    assert check_data_lake(tmp_path)[0].right is True
    assert list((tmp_path / "records").iterdir()) == []


def test_a_data_lake_that_is_not_there(tmp_path: Path) -> None:
    assert check_data_lake(tmp_path / "none")[0].right is False


def test_where_no_file_can_be_made_is_said(tmp_path: Path) -> None:
    told = try_link(tmp_path / "none")
    assert told is not None
    assert told.startswith("no file can be made")


def test_a_file_system_without_links_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("commands.check_folders.os.link", no_link)
    assert "link() does not work" in check_data_lake(tmp_path)[0].sentence
    assert list(tmp_path.iterdir()) == []


def test_the_state_folder_may_be_made_later(tmp_path: Path) -> None:
    assert check_state(tmp_path / "a" / "b")[0].right is True
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").touch()
    assert check_state(tmp_path / "file")[0].right is False
    assert check_state(tmp_path / "file" / "b")[0].right is False


def test_no_password_is_read_or_told(clean: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "password"
    clean.setenv("LOGIN_MANAGER_URI", "login:1")
    clean.setenv("SCANHUB_USER", "someone")
    clean.setenv("SCANHUB_PASSWORD_FILE", str(file))
    assert check_settings(Settings.from_environment(os.environ))[1].right is False
    file.write_text("SECRET")
    file.chmod(0o600)
    checks = check_settings(Settings.from_environment(os.environ))
    assert [check.right for check in checks] == [True, True]
    file.chmod(0o644)
    checks += check_settings(Settings.from_environment(os.environ))
    assert checks[-1].right is None
    assert "SECRET" not in "".join(check.line for check in checks)


def test_credentials_go_with_the_login_manager(clean: pytest.MonkeyPatch) -> None:
    assert len(check_settings(Settings.from_environment(os.environ))) == 1
    clean.setenv("LOGIN_MANAGER_URI", "login:1")
    assert check_settings(Settings.from_environment(os.environ))[1].right is False
    clean.delenv("LOGIN_MANAGER_URI")
    clean.setenv("SCANHUB_USER", "someone")
    assert check_settings(Settings.from_environment(os.environ))[1].right is None


def test_versions_are_those_that_were_tested() -> None:
    assert all(check.right for check in check_versions())
    assert judge_version("aiokafka", "0.13.0").right is False
    assert judge_version("pydicom", None).right is False


def test_pins_are_those_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    dependencies: list[str] = project["project"]["dependencies"]
    exact = dict(one.split("==") for one in dependencies if "==" in one)
    assert {name: exact[name] for name in PINNED} == PINNED


def test_topics_are_told_one_by_one_only_where_they_are_wrong() -> None:
    fine = [Finding("a"), Finding("b")]
    assert [check.right for check in judge_topics(fine)] == [True]
    bad = [*fine, Finding("c", missing=True), Finding("d", wrong="it has 1 partition")]
    assert [(check.what, check.right) for check in judge_topics(bad)] == [
        ("topic c", False),
        ("topic d", False),
    ]


def test_one_cross_is_enough() -> None:
    assert verdict([good("a", "x"), unsure("b", "x")]) == 0
    assert verdict([good("a", "x"), wrong("b", "x")]) == 1


def test_each_check_is_a_line_with_its_mark() -> None:
    lines = [check.line for check in (good("a", "x"), wrong("a", "x"), unsure("a", "\x1bx"))]
    assert lines == ["✓ a: x", "✗ a: x", "? a: ?x"]
