"""Which dialects are set, whether credentials can be read, and which versions run."""

import platform
import stat
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from commands.check import Check, good, unsure, wrong
from settings import Settings

PINNED: Final = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}
"""As in pyproject.toml (a test compares): streams/ overrides private methods of these."""
OTHERS: Final = ("rocksdict", "pydicom")
PYTHON: Final = (3, 11)


def check_settings(settings: Settings) -> list[Check]:
    """Tell the dialects, and look at the credentials without reading them."""
    gateway = f"posted to {settings.device_path}" if settings.gateway else "read by devices"
    dialects = (
        f"records {settings.records}, device {settings.device_dialect} ({gateway}),"
        f" reconstruction {settings.reco_dialect}"
    )
    return [good("dialects", dialects), *check_credentials(settings)]


def check_credentials(settings: Settings) -> list[Check]:
    """See that user and password file go together; the password is not read."""
    what, file = "credentials", settings.password_file
    if not settings.login_manager_uri:
        unused = "set, but LOGIN_MANAGER_URI is not: they are not used"
        return [unsure(what, unused)] if settings.user or file else []
    if not settings.user or file is None:
        return [wrong(what, "LOGIN_MANAGER_URI needs SCANHUB_USER and SCANHUB_PASSWORD_FILE")]
    return [_check_password_file(what, file)]


def _check_password_file(what: str, file: Path) -> Check:
    try:
        with file.open("rb"):
            status = file.stat()
    except OSError as error:
        return wrong(what, f"SCANHUB_PASSWORD_FILE can't be read: {error.strerror}")
    if not status.st_size:
        return wrong(what, "SCANHUB_PASSWORD_FILE is empty")
    if status.st_mode & stat.S_IROTH:
        return unsure(what, "everybody on this machine may read SCANHUB_PASSWORD_FILE")
    return good(what, "user and password file are set")


def check_versions() -> list[Check]:
    """Compare what is installed with what was tested."""
    own = platform.python_version()
    python = good if sys.version_info >= PYTHON else wrong
    return [
        python("python", own),
        *(judge_version(name, installed(name)) for name in (*PINNED, *OTHERS)),
    ]


def installed(package: str) -> str | None:
    """Give a package's version; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def judge_version(package: str, found: str | None) -> Check:
    """Say whether a version is one that the processor runs with."""
    wanted = PINNED.get(package)
    if found is None:
        return wrong(package, "not installed")
    if wanted is not None and found != wanted:
        return wrong(package, f"{found}, but exactly {wanted} is needed")
    return good(package, found)
