"""Is it the right image? Decoded, and compared with what the scanner measured."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from sandbox.demo.answer import Fetched
from sandbox.demo.plan import Planned
from sandbox.phantom import Image, correlation, phantom, seed_of

LEAST_CORRELATION: Final = 0.995
"""The phantoms of two records already correlate at up to 0.99: all heads look alike."""


class WrongImageError(Exception):
    """This is not the image that was to come; the text is a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """An image that is what it should be."""

    planned: Planned
    record_id: int | str
    fetched: Fetched
    sop_instance_uid: str
    pixels: Image
    phantom: Image
    correlation: float
    runner_up: float
    """How well the best phantom of any other record fits."""


def check_image(
    planned: Planned, record_id: int | str, fetched: Fetched, others: Iterable[int | str]
) -> Checked:
    """Decode an image and compare it with its record's phantom. Raises WrongImageError."""
    told = fetched.scan
    if told is None or (told.job_id, told.device_id) != (planned.job_id, planned.device_id):
        raise WrongImageError("the answer names another job or device")
    pixels, uid = _decode(fetched.content)
    if uid != fetched.file.sop_instance_uid:
        raise WrongImageError("the file has another SOP Instance UID than was told")
    shape = (planned.matrix, planned.matrix)
    if pixels.shape != shape:
        raise WrongImageError(f"the image is {pixels.shape}, its sequence measures {shape}")
    wanted = phantom(*shape, seed_of(record_id))
    fit = correlation(pixels, wanted)
    runner_up = max(
        (correlation(pixels, phantom(*shape, seed_of(r))) for r in others if r != record_id),
        default=-1.0,
    )
    if not fit > max(LEAST_CORRELATION, runner_up):
        raise WrongImageError(f"the image does not match its phantom: correlation {fit:.4f}")
    return Checked(
        planned=planned,
        record_id=record_id,
        fetched=fetched,
        sop_instance_uid=uid,
        pixels=pixels,
        phantom=wanted,
        correlation=fit,
        runner_up=runner_up,
    )


def _decode(content: bytes) -> tuple[npt.NDArray[np.float64], str]:
    try:
        dataset: Any = dcmread(io.BytesIO(content))  # its attributes come from a dictionary
        return dataset.pixel_array.astype(np.float64), str(dataset.SOPInstanceUID)
    except (InvalidDicomError, AttributeError, ValueError, NotImplementedError) as error:
        raise WrongImageError(f"no DICOM image ({type(error).__name__})") from error
