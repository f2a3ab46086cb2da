"""From k-space to an image."""

import io
from typing import Final

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint16]

BITS: Final = 12
"""Bits of a pixel that are used, as MR scanners do."""
LARGEST_SIDE: Final = 65_535
"""DICOM's Rows and Columns are 16-bit numbers."""


class NotReconstructableError(Exception):
    """This input gives no image; the text is a sentence for a person."""


def load(content: bytes) -> npt.NDArray[np.complex64 | np.complex128]:
    """Read a NumPy file: k-space (rows, columns), complex64 or complex128."""
    try:
        # Never with allow_pickle: a pickle runs whatever program its sender put into it.
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, MemoryError) as error:
        raise NotReconstructableError("the input is not a NumPy array file") from error
    if not isinstance(array, np.ndarray) or array.dtype not in (np.complex64, np.complex128):
        raise NotReconstructableError("the input is not one array of complex numbers")
    if array.ndim != 2 or not 0 < min(array.shape) <= max(array.shape) <= LARGEST_SIDE:  # noqa: PLR2004
        raise NotReconstructableError("the input is not a k-space of rows and columns")
    if not np.isfinite(array).all():
        raise NotReconstructableError("the k-space holds values that are not finite")
    return array


def reconstruct(kspace: npt.NDArray[np.complex64 | np.complex128]) -> Pixels:
    """Give the magnitude image, scaled to 12 bits: same shape, the brightest pixel is 4095.

    The zero frequency of the k-space lies at [rows//2, columns//2]; hence the two shifts.
    """
    image = np.abs(np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace))))
    brightest = float(image.max())
    scale = (2**BITS - 1) / brightest if brightest > 0 else 0.0
    return np.rint(image * scale).astype(np.uint16)
