"""A phantom head to scan: the device measures it, and the demo compares the image with it.

After L. A. Shepp and B. F. Logan (1974), in the variant with more contrast (P. A. Toft, 1996);
position, size and brightness of the inner parts vary with the seed, so that no two records look the
same and a mixed-up image is noticed.
"""

import hashlib
from typing import Final

import numpy as np
import numpy.typing as npt

from models.base import canonical

Image = npt.NDArray[np.float64]
KSpace = npt.NDArray[np.complex128]

# Brightness, half axes x and y, centre x and y, angle in degrees; in units of half the image.
_ELLIPSES: Final = (
    (1.00, 0.690, 0.920, 0.00, 0.000, 0.0),  # skull
    (-0.80, 0.662, 0.874, 0.00, -0.018, 0.0),  # brain
    (-0.15, 0.110, 0.310, 0.22, 0.000, -18.0),  # ventricles
    (-0.15, 0.160, 0.410, -0.22, 0.000, 18.0),
    (0.15, 0.210, 0.250, 0.00, 0.350, 0.0),
    (0.20, 0.046, 0.046, 0.00, 0.100, 0.0),
    (0.20, 0.046, 0.046, 0.00, -0.100, 0.0),
    (0.20, 0.046, 0.023, -0.08, -0.605, 0.0),
    (0.20, 0.023, 0.023, 0.00, -0.605, 0.0),
    (0.20, 0.023, 0.046, 0.06, -0.605, 0.0),
)
_FIXED: Final = 2  # skull and brain stay, so that everything else stays inside of them


def seed_of(record_id: int | str) -> int:
    """Give a record's seed, 0 to 2^32-1: the same in every process, and for every spelling."""
    return int.from_bytes(hashlib.sha256(canonical(record_id).encode()).digest()[:4], "big")


def phantom(n_rows: int, n_cols: int, seed: int) -> Image:
    """Draw a phantom: (n_rows, n_cols), brightness 0 to 1."""
    dice = np.random.default_rng(seed)
    y, x = np.meshgrid(_axis(n_rows)[::-1], _axis(n_cols), indexing="ij")
    image: Image = np.zeros((n_rows, n_cols))
    for number, ellipse in enumerate(_ELLIPSES):
        varied = number >= _FIXED
        brightness, a, b, x0, y0, degrees = ellipse
        if varied:
            brightness *= dice.uniform(0.6, 1.4)
            a, b = a * dice.uniform(0.8, 1.2), b * dice.uniform(0.8, 1.2)
            x0, y0 = x0 + dice.uniform(-0.06, 0.06), y0 + dice.uniform(-0.06, 0.06)
            degrees += dice.uniform(-12, 12)
        angle = np.deg2rad(degrees)
        u = (x - x0) * np.cos(angle) + (y - y0) * np.sin(angle)
        v = (y - y0) * np.cos(angle) - (x - x0) * np.sin(angle)
        image[(u / a) ** 2 + (v / b) ** 2 <= 1] += brightness
    return np.clip(image, 0, 1)


def kspace(image: Image) -> KSpace:
    """Measure an image: its k-space, same shape, the zero frequency at [n_rows//2, n_cols//2]."""
    measured: KSpace = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image)))
    return measured


def correlation(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Compare two images of one shape: Pearson's coefficient, 1 for equal but brightness."""
    return float(np.corrcoef(np.ravel(a), np.ravel(b))[0, 1])


def _axis(n: int) -> Image:
    """Give the pixels' centres from -1 to 1."""
    return (np.arange(n) + 0.5) * 2 / n - 1
