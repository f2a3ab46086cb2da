"""Run simulated managers: `python -m sandbox.managers --era uuid --log requests.jsonl`.

Prints one line of JSON with the addresses once all of them listen.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from sandbox.managers.login import IDLE_S, PASSWORD, USER
from sandbox.managers.run import ERAS, SERVICES, Options, running
from sandbox.managers.signals import stop_asked


def main() -> None:
    """Run until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.managers",
        description="Simulated managers: exam, device, sequence, login.",
    )
    for name in SERVICES:
        parser.add_argument(f"--port-{name}", type=int, default=0, help="0: the system chooses")
    parser.add_argument("--port-control", type=int, default=0, help="knobs, even while refusing")
    parser.add_argument(
        "--service", action="append", choices=SERVICES, help="only this one; may be repeated"
    )
    parser.add_argument("--era", choices=ERAS, default="integer")
    parser.add_argument("--any-job", action="store_true", help="take every job id as known")
    parser.add_argument("--tokens", action="store_true", help="all managers ask for a token")
    parser.add_argument("--user", default=USER, help="the one user that the login manager knows")
    parser.add_argument("--password", default=PASSWORD, help="of the simulated user")
    parser.add_argument("--token-idle-seconds", type=float, default=IDLE_S, help="a token's life")
    parser.add_argument("--log", type=Path, help="every request, one JSON line each")
    parser.add_argument("--state", type=Path, help="remember everything in this file")
    given = parser.parse_args()
    options = Options(
        era=given.era,
        any_job=given.any_job,
        tokens=given.tokens,
        token_idle_s=given.token_idle_seconds,
        users={given.user: given.password},
        log=given.log,
        state=given.state,
        services=given.service or SERVICES,
        ports={name: getattr(given, f"port_{name}") for name in SERVICES},
        control_port=given.port_control,
    )
    try:
        asyncio.run(_run(options))
    except OSError as error:
        sys.exit(f"cannot listen or write: {error.strerror}")


async def _run(options: Options) -> None:
    async with stop_asked() as stop, running(options) as addresses:
        print(json.dumps({**addresses.services, "control": addresses.control}), flush=True)
        await stop.wait()


if __name__ == "__main__":
    main()
