from pathlib import Path

import managers
from managers import Managers, open_managers
from tests.unit.test_managers_servers import says, serving


async def test_all_are_opened_and_closed_together() -> None:
    async with serving(says(200, {})) as server:
        opened = open_managers(
            device_uri=server.uri, sequence_uri=server.uri, exam_uri=server.uri, timeout_s=2
        )
        assert isinstance(opened, Managers)
        assert await opened.devices.probe()
        assert await opened.sequences.probe()
        assert await opened.exams.probe()
        await opened.close()
        await opened.close()
    assert [taken.target for taken in server.taken] == [
        "/api/v1/device/health/readiness",
        "/readiness",
        "/health",
        "/api/v1/exam/health/readiness",
    ]


async def test_with_user_and_password_a_login_manager_is_there(tmp_path: Path) -> None:
    async with serving(says(200, {})) as server:
        opened = open_managers(
            device_uri="",
            sequence_uri="",
            exam_uri="",
            login_uri=server.uri,
            user="erika",
            password_file=tmp_path / "none",  # read at use only
        )
        assert opened.login is not None
        assert await opened.login.probe()
        await opened.close()
    assert [taken.target for taken in server.taken] == ["/api/v1/userlogin/health/readiness"]


async def test_they_are_made_without_a_question_and_have_names() -> None:
    opened = open_managers(device_uri="", sequence_uri="", exam_uri="")
    assert [
        opened.devices.name,
        opened.sequences.name,
        opened.exams.name,
        opened.scanner.name,
    ] == ["device manager", "sequence manager", "exam manager", "device"]
    await opened.close()


def test_what_is_exported_is_there() -> None:
    assert sorted(managers.__all__) == managers.__all__
    assert all(hasattr(managers, name) for name in managers.__all__)
