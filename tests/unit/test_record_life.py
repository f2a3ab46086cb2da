"""A scan from its record to its image, with nothing in its way."""

import json

from agents.record.state import WorkKind
from models import wire
from models.events import EventKind, ScanState
from tests.unit.test_record_bench import IMAGE, RecordBench


async def test_a_scan_goes_its_way() -> None:
    bench = RecordBench()
    for offset, state in enumerate([ScanState.READY, ScanState.STARTING, ScanState.STARTED]):
        await bench.agent.handle(bench.told(state, offset=offset))
    await bench.agent.handle(bench.status("RUNNING"))
    await bench.agent.handle(await bench.upload())
    job = json.loads(bench.sent(wire.RECO_JOBS)[0].value or b"")
    assert bench.row().state is ScanState.RECONSTRUCTING
    result = {"record_id": 41, "reco_job_id": job["reco_job_id"], "success": True}
    file = {"location": "records/41/x.dcm", "size": 9, "sha256": IMAGE}
    await bench.agent.handle(
        bench.message(wire.RECO_RESULTS, {**result, "files": [file]}, offset=2)
    )
    await bench.agent.handle(bench.stored(f"register/{job['reco_job_id']}", IMAGE))
    assert bench.row().state is ScanState.COMPLETED
    assert [event.state for event in bench.events(EventKind.STATE_CHANGED)] == [
        "READY", "STARTING", "STARTED", "RUNNING", "ACQUIRED", "RECONSTRUCTING", "COMPLETED",
    ]  # fmt: skip
    assert [item.kind for _, _, item in bench.items.items()] == [WorkKind.TELL]
