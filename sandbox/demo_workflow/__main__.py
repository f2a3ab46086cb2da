"""Run the demo of workflows: `python -m sandbox.demo_workflow [--out …] [--scan-seconds 2] [--keep]`.

Exit code 0 only if all came as told, and as promised: see proof.py.
"""

import argparse
import sys
import time
from collections import defaultdict
from typing import Final

from rich.console import Console

from models import wire
from models.base import canonical
from models.workflow import WorkflowResponse
from sandbox.demo.bus import Bus
from sandbox.demo.edge import add_folders, plain, run_demo
from sandbox.demo.folders import Folders
from sandbox.demo.parts import Parts
from sandbox.demo.stopping import Interruptible
from sandbox.demo_workflow.plan import DENOISE, DEVICE, PLANS, SECOND, SEQUENCE, seeds
from sandbox.demo_workflow.proof import Facts, orders_in, problems, read_lines, summary
from sandbox.demo_workflow.stage import SOON_S, Stage, StoryError
from sandbox.demo_workflow.story import play

SETTINGS: Final = {"SCANHUB_RECORDS": "uuid", "SCANHUB_TOPIC_ALLOW": DENOISE}
SERVICE: Final = "processing"


def main() -> int:
    """Run the demo and give its exit code."""
    return run_demo("demo-workflow", _parser().parse_args(), _demo)


def _demo(
    given: argparse.Namespace, where: Folders, console: Console, signals: Interruptible
) -> int:
    began, say = time.monotonic(), plain(console)
    with Parts(where.work, where.logs, say, SETTINGS, era="uuid") as parts:
        parts.start([DEVICE], [SEQUENCE], given.scan_seconds)
        parts.serve(
            SERVICE, "sandbox.processing", "--topic", DENOISE, "--fail-once", SECOND.denoising
        )
        say("started as well: one certified processing service, which fails once")
        parts.seed(**seeds())
        try:
            facts = signals.run(_play(parts, console))
        except StoryError as error:
            say(f"demo-workflow: not as promised: {error}; see {where.logs}")
            return 1
    wrong = problems(facts)
    for problem in wrong:
        say(f"not as promised: {problem}")
    say(f"the whole demo took {time.monotonic() - began:.0f} s; logs are in {where.logs}")
    say(summary(facts, wrong, where.logs))
    return 1 if wrong else 0


async def _play(parts: Parts, console: Console) -> Facts:
    """Play the story, and gather what is known at its end."""
    stage = Stage(parts, console)
    await play(stage)
    known = {plan.id: await stage.known(plan) for plan in PLANS}
    starts = read_lines(parts.starts_log(DEVICE), "record_id")
    images = read_lines(parts.log_of("reconstruction"), "record_id")
    orders = orders_in(read_lines(parts.log_of(SERVICE), "task_id"))
    return Facts(
        answers=await _answers(parts),
        starts=[canonical(one["record_id"]) for one in starts],
        images=[canonical(one["record_id"]) for one in images if one["success"]],
        orders=orders,
        known=known,
        files=frozenset(
            plan.denoising
            for plan in PLANS
            if any(parts.lake.glob(f"records/*/denoised-{plan.denoising}.dcm"))
        ),
    )


async def _answers(parts: Parts) -> dict[str, list[WorkflowResponse]]:
    """Read all that was answered, repeats dropped. The commands have seen the last ones."""
    found: dict[str, dict[str, WorkflowResponse]] = defaultdict(dict)
    until = time.monotonic() + SOON_S
    async with Bus(parts.kafka.bootstrap, (wire.WORKFLOW_RESPONSES,)) as bus:
        while time.monotonic() < until:
            for _, key, headers, value in await bus.read():
                name = headers[wire.MESSAGE_ID].decode()
                found[key].setdefault(name, WorkflowResponse.from_bytes(value))
            last = [next(reversed(found[plan.id].values()), None) for plan in PLANS]
            if all(one is not None and one.status == "completed" for one in last):
                break
    return {key: list(answers.values()) for key, answers in found.items()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.demo_workflow",
        description="Two workflows run themselves on simulated services, one with a failing task.",
    )
    add_folders(parser, "out/demo-workflow", "the logs")
    parser.add_argument(
        "--scan-seconds", type=float, default=4.0, metavar="S", help="how long a scan takes"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
