"""The story: two workflows run themselves, and one of them needs a person once."""

from typing import Final

from sandbox.demo_workflow.plan import FIRST, SECOND
from sandbox.demo_workflow.stage import Stage

DONE: Final = ("COMPLETED", "COMPLETED", "COMPLETED")


async def play(stage: Stage) -> None:
    """Tell it to its end. Raises StoryError where it does not come as told."""
    stage.tell(
        "1. At the exam manager lies a workflow of three tasks: a scan, its reconstruction, and a"
        " certified denoising. Somebody starts it and looks on. Nobody clicks any more."
    )
    await stage.type("workflow", FIRST.id, "--start", "--watch")
    await stage.told(FIRST, *DONE, finished=True)

    stage.tell(
        "2. A second one, of the same tasks. This time the processing service reports a failure: the"
        " workflow stops there as failed, says why, and keeps what is done."
    )
    await stage.type("workflow", SECOND.id, "--start", "--watch", code=3)
    await stage.told(SECOND, "COMPLETED", "COMPLETED", "FAILED", finished=False)

    stage.tell("3. Somebody starts it once more. That would be a second scan, so it is refused.")
    await stage.type("workflow", SECOND.id, "--start", code=1)

    stage.tell(
        "4. Somebody has seen to the service, and resumes the workflow: only what failed is done again."
    )
    await stage.type("workflow", SECOND.id, "--resume", "--watch")
    await stage.told(SECOND, *DONE, finished=True)
