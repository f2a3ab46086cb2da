"""`topics`: makes the topics that are missing, and says what is wrong with those that exist."""

import asyncio
from collections.abc import Iterable
from typing import Any

from faust.cli import option

from commands.base import Context, Exit, PlainCommand, timeout_option
from commands.kafka import FAULTS, no_broker
from streams.provision import Finding, Provisioner


def add_topics(app: Any, context: Context) -> None:
    """Add the command."""

    async def topics(_: PlainCommand, check: bool, limit_s: float) -> Exit:
        """Make missing topics, check the others."""
        findings = await look(context, make=not check, limit_s=limit_s)
        for finding in findings:
            print(line(finding))
        return verdict(findings)

    app.command(
        option("--check", is_flag=True, help="Make nothing, only look."),
        timeout_option("Seconds for the broker."),
        base=PlainCommand,
    )(topics)


async def look(context: Context, *, make: bool, limit_s: float) -> list[Finding]:
    """Look at all topics, changelogs included. Raises CommandError if no broker answers."""
    try:
        async with asyncio.timeout(limit_s), Provisioner(context.settings.kafka) as provisioner:
            return await provisioner.look(context.specs(), make=make)
    except FAULTS as error:
        raise no_broker(context.settings.kafka, error) from None


def line(finding: Finding) -> str:
    """Tell of one topic."""
    return f"{finding.topic}: {'made' if finding.made else problem(finding) or 'fine'}"


def problem(finding: Finding) -> str:
    """Say what is wrong with a topic; empty if nothing is."""
    if finding.missing and not finding.made:
        return "missing; `faust -A faust_app topics` makes it"
    return finding.wrong


def verdict(findings: Iterable[Finding]) -> Exit:
    """Give the exit code: one topic that is wrong is enough."""
    return Exit.ERROR if any(problem(finding) for finding in findings) else Exit.GOOD
