"""`doctor`: looks at all that a worker needs, and says of each whether it is right."""

import asyncio
from collections.abc import Iterable
from typing import Any

from commands.base import Context, Exit, PlainCommand, timeout_option
from commands.check import Check, good, wrong
from commands.check_folders import check_data_lake, check_state
from commands.check_managers import check_managers
from commands.check_settings import check_settings, check_versions
from commands.kafka import FAULTS, no_broker
from commands.topics import look, problem
from models.errors import ScanHubError
from streams.provision import Finding, Provisioner


def add_doctor(app: Any, context: Context) -> None:
    """Add the command."""

    async def doctor(_: PlainCommand, limit_s: float) -> Exit:
        """Check all that a worker needs."""
        settings = context.settings
        # Side by side: each may take its whole time where something hangs.
        broker, managers, lake, state = await asyncio.gather(
            check_broker(context, limit_s),
            check_managers(settings),
            asyncio.to_thread(check_data_lake, settings.data_lake),
            asyncio.to_thread(check_state, settings.state_dir),
        )
        groups = (broker, managers, lake, state, check_settings(settings), check_versions())
        checks = [check for group in groups for check in group]
        for check in checks:
            print(check.line)
        return verdict(checks)

    app.command(timeout_option("Seconds for the broker."), base=PlainCommand)(doctor)


def verdict(checks: Iterable[Check]) -> Exit:
    """Give the exit code: one cross is enough; what can't be known is none."""
    return Exit.ERROR if any(check.right is False for check in checks) else Exit.GOOD


async def check_broker(context: Context, limit_s: float) -> list[Check]:
    """Look at the broker and at each topic; nothing is made."""
    address = context.settings.kafka
    try:
        async with asyncio.timeout(limit_s), Provisioner(address) as provisioner:
            cluster = await provisioner.cluster_id()
        findings = await look(context, make=False, limit_s=limit_s)
    except FAULTS as error:
        return [wrong("broker", str(no_broker(address, error)))]
    except ScanHubError as error:
        return [wrong("broker", str(error))]
    return [good("broker", f"answers at {address}, cluster {cluster}"), *judge_topics(findings)]


def judge_topics(findings: list[Finding]) -> list[Check]:
    """Tell what is wrong with topics, or once that all are right."""
    bad = [finding for finding in findings if problem(finding)]
    if not bad:
        return [
            good("topics", f"all {len(findings)} are there, with their partitions and settings")
        ]
    return [wrong(f"topic {finding.topic}", problem(finding)) for finding in bad]
