"""What a workflow has to do with a scan: it is told how far the scan is, and may have it reconstructed.

The step is sent after the event and, where the scan goes on, before its row is durable: a message that
comes again tells again, and the workflow knows by the ids what it has heard.
"""

from agents.record.files import RecordFiles
from agents.record.state import FileKind, ScanRow
from agents.tools import Tools, record_key
from models import wire
from models.base import canonical
from models.events import ScanState
from models.steps import RecordStep, WorkflowStep, WorkflowStepKind

S = ScanState


def is_news(before: ScanRow, after: ScanRow) -> bool:
    """Tell whether a workflow is to hear of a change."""
    scan = after.scan
    if (scan.workflow_id is None or scan.task_id is None) and after.wanted_by is None:
        return False
    if after.state is before.state:
        return False
    own = scan.reconstruct is False and after.state in (S.ACQUIRED, S.RECONSTRUCTING)
    return own or after.state.final


def reconstructs(row: ScanRow) -> bool:
    """Tell whether a scan's raw data go to reconstruction at once: no task of a workflow is to come."""
    return row.scan.reconstruct is not False or row.wanted_by is not None


async def tell(
    tools: Tools,
    files: RecordFiles,
    partition: int,
    row: ScanRow,
    *,
    state: ScanState | None = None,
    cause: str | None = None,
) -> None:
    """Tell the workflow whose task the scan is, and the one that asked for its reconstruction."""
    scan, state = row.scan, state or row.state
    kind = FileKind.IMAGE if state is S.COMPLETED else FileKind.RAW
    every = files.all(partition, record_key(scan.record_id), row.files)
    file = next((one for one in every if one.kind is kind), None)
    step = WorkflowStep(
        kind=WorkflowStepKind.SCAN,
        workflow_id=0,
        task_id=scan.task_id,
        request_id=scan.request_id,
        record_id=scan.record_id,
        attempt=row.wanted,
        state=state,
        location=file.location if file is not None else None,
        sha256=file.sha256 if file is not None else None,
        cause=cause or (row.cause if state is row.state else None),
    )
    own = scan.workflow_id if scan.task_id is not None else None
    owners = [own, row.wanted_by]
    for owner in dict.fromkeys(canonical(one) for one in owners if one is not None):
        told = step.model_copy(update={"workflow_id": owner})
        await tools.outbox.deliver_step(wire.WORKFLOW_STEPS, owner, told.to_bytes())


async def tell_unknown(tools: Tools, asked: RecordStep) -> None:
    """Tell a workflow that the record it named is none of ours."""
    if asked.workflow_id is None:
        return
    owner = canonical(asked.workflow_id)
    step = WorkflowStep(
        kind=WorkflowStepKind.SCAN,
        workflow_id=owner,
        record_id=asked.record_id,
        attempt=asked.attempt,
        state=S.FAILED,
        cause="no scan with this record is known here",
    )
    await tools.outbox.deliver_step(wire.WORKFLOW_STEPS, owner, step.to_bytes())
