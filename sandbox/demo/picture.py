"""All images side by side in one PNG, above the phantoms that the scanners measured."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sandbox.demo.image import Checked
from sandbox.phantom import Image as Pixels

TITLE: Final = "ScanHub sandbox: simulated scans, not for diagnosis"
_ROWS: Final = (("DICOM image", "fetched through Kafka"), ("phantom", "what the scanner saw"))

_SIDE: Final = 192  # of an image, in pixels
_GAP: Final = 12
_TOP: Final = 44
_LEFT: Final = 168  # what the rows are
_BAND: Final = 2 * (_SIDE + _GAP) + 52  # both rows and their caption
_COLUMNS: Final = 6  # in a band
_LEAST_COLUMNS: Final = 2  # the title needs them
_PAPER, _INK, _FAINT = (24, 26, 30), (235, 235, 235), (160, 165, 172)


def draw(images: Sequence[Checked], target: Path) -> None:
    """Write the picture. It holds pixels and our own numbers: nothing of any patient."""
    bands = [images[n : n + _COLUMNS] for n in range(0, len(images), _COLUMNS)]
    width = _LEFT + max(_LEAST_COLUMNS, len(bands[0])) * (_SIDE + _GAP)
    sheet = Image.new("RGB", (width, _TOP + len(bands) * _BAND), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_GAP, 12), TITLE, _INK, font=_font(19))
    for number, band in enumerate(bands):
        _draw_band(sheet, pen, band, _TOP + number * _BAND)
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(target)


def _draw_band(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, images: Sequence[Checked], top: int
) -> None:
    for row, (name, meaning) in enumerate(_ROWS):
        y = top + row * (_SIDE + _GAP) + _SIDE // 2
        pen.text((_GAP, y - 20), name, _INK, font=_font(19))
        pen.text((_GAP, y + 4), meaning, _FAINT, font=_font(14))
    for column, one in enumerate(images):
        x = _LEFT + column * (_SIDE + _GAP)
        for row, pixels in enumerate((one.pixels, one.phantom)):
            sheet.paste(_grey(pixels), (x, top + row * (_SIDE + _GAP)))
        y = top + 2 * (_SIDE + _GAP)
        size = one.planned.matrix
        first = f"record {one.record_id}, {one.planned.device_id}"
        second = f"{size} x {size}, correlation {one.correlation:.3f}"
        pen.text((x, y), first, _INK, font=_font(14))
        pen.text((x, y + 20), second, _FAINT, font=_font(14))


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size=size)  # pillow's own: no font of the machine's


def _grey(pixels: Pixels) -> Image.Image:
    """Give an image in the size of a cell; pixels stay squares, so that the matrix shows."""
    brightest = float(pixels.max()) or 1.0
    eight_bit = np.rint(np.clip(pixels / brightest, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(eight_bit).resize((_SIDE, _SIDE), Image.Resampling.NEAREST)
