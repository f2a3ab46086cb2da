"""Is the pixel data whole? Checked by lengths alone, before anybody decodes."""

import os
import re
import struct
from typing import Final

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from datalake.dicom_reader import raw_value, refused, text_value
from datalake.errors import sort_os_error
from datalake.part10 import Head, Pixels

ROWS: Final = 0x00280010
COLUMNS: Final = 0x00280011
SAMPLES: Final = 0x00280002
PHOTOMETRIC: Final = 0x00280004
BITS_ALLOCATED: Final = 0x00280100
FRAMES: Final = 0x00280008

MAX_FRAGMENTS: Final = 200_000
"""Of encapsulated pixel data; each costs one read."""

_NATIVE = frozenset(
    {
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    }
)
_FLOAT_BITS = {0x7FE00008: 32, 0x7FE00009: 64}
_NUMBER = re.compile(r"\+?[0-9]{1,9}")
_ITEM, _DELIMITER = 0xFFFEE000, 0xFFFEE0DD


def frames_of(head: Head) -> int:
    """Give the number of frames; missing, empty and 0 count as 1, as pydicom counts them."""
    text = text_value(head.dataset, FRAMES)
    if text and not _NUMBER.fullmatch(text):
        raise refused("the DICOM file's number of frames is malformed")
    return int(text or 1) or 1


def number_of(head: Head, tag: int) -> int:
    """Give an unsigned short; 0 if it is missing or empty."""
    raw = raw_value(head.dataset, tag)
    if not raw:
        return 0
    if len(raw) != 2:  # noqa: PLR2004 - bytes of an unsigned short
        raise refused("one of the DICOM file's image sizes is malformed")
    number: int = struct.unpack("<H" if head.little_endian else ">H", raw)[0]
    return number


def check_pixels(fd: int, head: Head, pixels: Pixels) -> None:
    """Raise PoisonError FILE_REFUSED where the pixel data is cut or has another size than told."""
    syntax = head.meta.transfer_syntax_uid
    if pixels.length is None:
        if syntax in _NATIVE:
            raise refused(
                "the DICOM file's pixel data has no length, by its transfer syntax it has"
            )
        _walk_fragments(fd, pixels.start)
        return
    if syntax not in _NATIVE:
        raise refused(
            "the DICOM file's pixel data is not encapsulated, by its transfer syntax it is"
        )
    if pixels.start + pixels.length > head.size:
        raise refused("the DICOM file's pixel data is cut")
    expected = _expected(head, pixels.tag)
    if pixels.length not in {expected, expected + expected % 2}:
        raise refused(
            f"the DICOM file has {pixels.length} bytes of pixel data, {expected} by its image size"
        )


def _expected(head: Head, tag: int) -> int:
    rows, columns = number_of(head, ROWS), number_of(head, COLUMNS)
    bits = _FLOAT_BITS.get(tag) or number_of(head, BITS_ALLOCATED)
    samples = number_of(head, SAMPLES) or 1
    if not (rows and columns and bits):
        raise refused("the DICOM file has pixel data, but not its rows, columns and bits")
    values = rows * columns * samples * frames_of(head)
    if text_value(head.dataset, PHOTOMETRIC) == "YBR_FULL_422":
        values = values * 2 // 3  # two pixels share their colour
    return (values * bits + 7) // 8


def _walk_fragments(fd: int, position: int) -> None:
    """Go from fragment to fragment up to the delimiter; the first is the offset table."""
    for count in range(MAX_FRAGMENTS):
        try:
            raw = os.pread(fd, 8, position)
        except OSError as error:
            raise sort_os_error(error) from None
        if len(raw) < 8:  # noqa: PLR2004 - bytes of an item's head
            raise refused("the DICOM file's pixel data is cut")
        group, element, length = struct.unpack("<HHL", raw)
        tag = group << 16 | element
        if tag == _DELIMITER and count > 1:
            return
        if tag != _ITEM:
            raise refused("the DICOM file's encapsulated pixel data is malformed")
        position += 8 + length
    raise refused("the DICOM file's pixel data has too many fragments")
