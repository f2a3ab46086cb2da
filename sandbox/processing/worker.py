"""The service: a plain Kafka consumer that answers each TaskEvent with one TaskCompletion.

What makes it correct, and what a service of your own should do too:

- **At least once.** An order's offset is committed after the broker has acknowledged its completion.
- **Repeats are harmless.** An order that comes again has the same message-id, and gets the same answer.
  A task that is resumed after a failure comes as another order, with another message-id.
- **Heartbeats go on.** What takes long runs in a thread.
- **Trust nothing.** No path leaves the data lake, and an order that is not marked as certified is none.
- **Always answer.** An order that can't be done is answered too.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError
from pydantic import ValidationError

from models.base import canonical, explain
from models.wire import MESSAGE_ID, REQUEST_ID, TASK_COMPLETIONS, make_id
from models.workflow import TaskCompletion, TaskEvent
from sandbox.reconstruction.dicom import dicom_file
from sandbox.reconstruction.files import inside, write_at_once
from sandbox.reconstruction.image import NotReconstructableError, Pixels

CERTIFIED: Final = "certified"
_REMEMBERED: Final = 1000
_MADE_TO_FAIL: Final = "this order was made to fail."


class Service:
    """Does orders, each once: a repeat gets the answer that it got before."""

    def __init__(self, lake: Path, fail_once: Iterable[str] = ()) -> None:
        self._lake = lake
        self._failing = {canonical(task) for task in fail_once}
        self._answers: dict[str, TaskCompletion] = {}

    def answer(self, order: TaskEvent, message_id: str, *, certified: bool) -> TaskCompletion:
        """Do an order, or say why it can't be done."""
        if (known := self._answers.get(message_id)) is not None:
            return known
        try:
            location = self._do(order, message_id, certified=certified)
        except NotReconstructableError as error:
            answer = TaskCompletion(task_id=order.task_id, success=False, error=str(error))
        else:
            made = {"input": location}
            answer = TaskCompletion(task_id=order.task_id, success=True, artifacts=made)
        self._answers[message_id] = answer
        if len(self._answers) > _REMEMBERED:
            self._answers.pop(next(iter(self._answers)))
        return answer

    def _do(self, order: TaskEvent, message_id: str, *, certified: bool) -> str:
        """Write the denoised image, and give its location."""
        task = canonical(order.task_id)
        if not certified:
            raise NotReconstructableError("the order is not marked as certified.")
        if task in self._failing:
            self._failing.remove(task)
            raise NotReconstructableError(_MADE_TO_FAIL)
        given = order.input.get("input", "")
        location = f"{Path(given).parent}/denoised-{task}.dcm"
        image = dicom_file(denoised(_pixels(inside(self._lake, given))), message_id)
        try:
            write_at_once(inside(self._lake, location), image)
        except OSError as error:
            raise NotReconstructableError(f"it can't be stored: {error.strerror}.") from error
        return location


def denoised(pixels: Pixels) -> Pixels:
    """Give each pixel the mean of itself and its eight neighbours."""
    rows, columns = pixels.shape
    around = np.pad(pixels.astype(np.float64), 1, mode="edge")
    moved = [around[y : y + rows, x : x + columns] for y in range(3) for x in range(3)]
    mean: Pixels = np.rint(np.mean(moved, axis=0)).astype(np.uint16)
    return mean


def _pixels(path: Path) -> Pixels:
    try:
        dataset: Any = pydicom.dcmread(path)  # its attributes come from a dictionary
        return np.asarray(dataset.pixel_array, dtype=np.uint16)
    except (OSError, AttributeError, ValueError, pydicom.errors.InvalidDicomError) as error:
        raise NotReconstructableError("the input is no image that can be read.") from error


async def work(
    consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, service: Service, prefix: str = ""
) -> None:
    """Do one order after the other, for ever. Both clients are started, auto-commit is off."""
    async for message in consumer:
        try:
            order = TaskEvent.from_bytes(message.value or b"")
        except ValidationError as error:
            # Whose it is can't be known, so there is nobody to answer; it must not come again.
            print(f"not a TaskEvent: {explain(error)}", file=sys.stderr, flush=True)
        else:
            headers = {name: value.decode("utf-8", "replace") for name, value in message.headers}
            message_id = headers.get(MESSAGE_ID, f"{message.partition}-{message.offset}")
            certified, began = headers.get(CERTIFIED) == "true", time.monotonic()
            done = await asyncio.to_thread(service.answer, order, message_id, certified=certified)
            # An error here ends the service: nothing is committed, so nothing is lost. Without a key:
            # whose the task is the processor knows.
            await producer.send_and_wait(
                prefix + TASK_COMPLETIONS,
                done.to_bytes(),
                headers=[
                    (REQUEST_ID, headers.get(REQUEST_ID, message_id).encode()),
                    (MESSAGE_ID, make_id(message_id, "task-completion").encode()),
                ],
            )
            _tell(done, message_id, time.monotonic() - began)
        await _commit(consumer, message)


async def _commit(consumer: AIOKafkaConsumer, message: "ConsumerRecord[Any, Any]") -> None:
    place = TopicPartition(message.topic, message.partition)
    try:
        await consumer.commit({place: message.offset + 1})
    except (CommitFailedError, IllegalStateError):
        # The partition went to another service meanwhile. It will do this order again.
        print("a finished order will be repeated elsewhere", file=sys.stderr, flush=True)


def _tell(done: TaskCompletion, message_id: str, seconds: float) -> None:
    told = {"task_id": canonical(done.task_id), "message_id": message_id}
    outcome = {"success": done.success, "error": done.error, "seconds": round(seconds, 3)}
    print(json.dumps(told | outcome), flush=True)
