"""All who are asked, opened and closed together."""

import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from managers.address import Network
from managers.devices import DeviceManager
from managers.exams import ExamManager
from managers.login import LoginManager
from managers.scanner import Scanner
from managers.sequences import SequenceManager


@dataclass(frozen=True, slots=True)
class Managers:
    """One client for each manager, and one for the devices.

    `login` is None where no token is used. The devices' client never has one.
    """

    devices: DeviceManager
    sequences: SequenceManager
    exams: ExamManager
    scanner: Scanner
    login: LoginManager | None = None

    async def close(self) -> None:
        """Close all connections, also when closing some of them fails."""
        async with AsyncExitStack() as stack:
            for one in (self.login, self.devices, self.sequences, self.exams, self.scanner):
                if one is not None:
                    stack.push_async_callback(one.close)


def open_managers(
    *,
    device_uri: str,
    sequence_uri: str,
    exam_uri: str,
    login_uri: str = "",
    user: str = "",
    password_file: Path | None = None,
    device_path: str = "/api/start-scan",
    networks: Sequence[Network] = (),
    timeout_s: float = 5.0,
    cache_s: float = 5.0,
    ca_file: Path | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Managers:
    """Make the clients; nothing is asked and no connection is opened yet.

    URIs have a scheme and no slash at the end (settings.py sees to it); an empty one is a manager
    that is not set. With `login_uri`, `user` and `password_file` all managers are asked with one
    token, fetched when the first question needs it. `networks` are where devices may be, empty =
    anywhere. `timeout_s` holds for each whole attempt. `clock` is monotonic, for the age of what is
    kept. `ca_file` holds the roots for `https://`, in place of the usual ones. Raises OSError when
    it can't be read.
    """
    login = None
    if login_uri and user and password_file is not None:
        login = LoginManager(
            login_uri, user=user, password_file=password_file, clock=clock, ca_file=ca_file
        )
    tokens = login.tokens if login is not None else None
    return Managers(
        devices=DeviceManager(
            device_uri,
            cache_s=cache_s,
            networks=networks,
            clock=clock,
            timeout_s=timeout_s,
            ca_file=ca_file,
            tokens=tokens,
        ),
        sequences=SequenceManager(
            sequence_uri,
            cache_s=cache_s,
            clock=clock,
            timeout_s=timeout_s,
            ca_file=ca_file,
            tokens=tokens,
        ),
        exams=ExamManager(exam_uri, timeout_s=timeout_s, ca_file=ca_file, tokens=tokens),
        scanner=Scanner(device_path, networks=networks, timeout_s=timeout_s),
        login=login,
    )
