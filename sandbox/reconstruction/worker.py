"""The worker: a plain Kafka consumer that answers each RecoJob with one RecoResult.

What makes it correct, and what a worker of your own should do too:

- **At least once.** A job's offset is committed after the broker has acknowledged its result. A
  worker that dies before that gets the job again.
- **Repeats are harmless.** The same job gives the same file under the same name, and a result with
  the same message-id, by which its reader drops repeats.
- **Heartbeats go on.** Everything that takes long runs in a thread; the event loop stays free to
  tell Kafka that we live. A worker that blocks it loses its jobs to another one.
- **Trust nothing.** The input is the announced file or none, and no path leaves the data lake.
- **Always answer.** A job that can't be done is answered too, with a sentence that says why.
"""

import asyncio
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError
from pydantic import ValidationError

from models.base import canonical, explain
from models.results import RecoJob, RecoResult, ResultFile
from models.wire import MESSAGE_ID, RECO_RESULTS, REQUEST_ID, make_id
from sandbox.reconstruction.dicom import dicom_file
from sandbox.reconstruction.files import inside, read_checked, write_at_once
from sandbox.reconstruction.image import NotReconstructableError, load, reconstruct

_LONGEST_ERROR = 500  # characters that a RecoResult takes


async def work(
    consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, lake: Path, prefix: str = ""
) -> None:
    """Do one job after the other, for ever. Both clients are started, auto-commit is off."""
    async for message in consumer:
        try:
            job = RecoJob.from_bytes(message.value or b"")
        except ValidationError as error:
            # Whose it is can't be known, so there is nobody to answer; it must not come again.
            print(f"not a RecoJob: {explain(error)}", file=sys.stderr, flush=True)
        else:
            started = time.monotonic()
            result = await asyncio.to_thread(do_job, job, lake)
            # An error here ends the worker: nothing is committed, so nothing is lost.
            await producer.send_and_wait(
                prefix + RECO_RESULTS,
                result.to_bytes(),
                key=canonical(job.record_id).encode(),
                headers=[
                    (REQUEST_ID, job.request_id.encode()),
                    (MESSAGE_ID, make_id(job.reco_job_id, "reco-result").encode()),
                ],
            )
            _tell(job, result, time.monotonic() - started)
        await _commit(consumer, message)


def do_job(job: RecoJob, lake: Path) -> RecoResult:
    """Make the image, or say why there is none."""
    try:
        content = read_checked(inside(lake, job.input), job.size, job.sha256)
        image = dicom_file(reconstruct(load(content)), job.reco_job_id)
        location = f"{job.output_dir}/reco-{job.reco_job_id}.dcm"
        write_at_once(inside(lake, location), image)
    except NotReconstructableError as error:
        return _failed(job, f"{error}.")
    except OSError as error:
        return _failed(job, f"the image can't be stored: {error.strerror}.")
    made = ResultFile(
        location=location,
        size=len(image),
        sha256=hashlib.sha256(image).hexdigest(),
        media_type="application/dicom",
    )
    return RecoResult(
        record_id=job.record_id, reco_job_id=job.reco_job_id, success=True, files=(made,)
    )


def _failed(job: RecoJob, sentence: str) -> RecoResult:
    return RecoResult(
        record_id=job.record_id,
        reco_job_id=job.reco_job_id,
        success=False,
        error=sentence[:_LONGEST_ERROR],
    )


async def _commit(consumer: AIOKafkaConsumer, message: "ConsumerRecord[Any, Any]") -> None:
    place = TopicPartition(message.topic, message.partition)
    try:
        await consumer.commit({place: message.offset + 1})
    except (CommitFailedError, IllegalStateError):
        # The partition went to another worker meanwhile. It will do this job again: harmless.
        print("a finished job will be repeated elsewhere", file=sys.stderr, flush=True)


def _tell(job: RecoJob, result: RecoResult, seconds: float) -> None:
    told = {"record_id": canonical(job.record_id), "reco_job_id": job.reco_job_id}
    outcome = {"success": result.success, "error": result.error, "seconds": round(seconds, 3)}
    print(json.dumps(told | outcome), flush=True)
