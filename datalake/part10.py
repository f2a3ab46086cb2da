"""The container of a DICOM file: file meta information, transfer syntax, the dataset's head.

`dcmread` itself is not used: it inflates a deflated file whole before anybody can look at it, and
ends a cut dataset with no more than a warning. What is accepted here it reads without force
(tests/unit/test_datalake_dicom.py).
"""

import io
import os
import zlib
from dataclasses import dataclass
from typing import BinaryIO, Final

from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from datalake.dicom_reader import (
    MAX_HEAD,
    UNDEFINED,
    LimitedReader,
    StopAt,
    parse,
    refused,
    text_value,
)
from datalake.errors import sort_os_error

MAX_INFLATED: Final = 256 * 2**20
"""Bytes that a deflated dataset may swell to; one MiB can hold one GiB."""

_MAX_META = 2**20
_PREFIX = slice(128, 132)
_META_GROUP = 2
_BLOCK = 65_536
_PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})  # float, double, and the usual


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """File meta information (group 0002); `end` is the offset of the dataset in bytes."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """Where the pixel data lies: `length` (None: encapsulated) and `start` of the value in bytes."""

    tag: int
    length: int | None
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A dataset up to its pixel data; `size`: bytes of the file, or of what it inflates to."""

    meta: Meta
    dataset: Dataset
    pixels: Pixels | None
    little_endian: bool
    size: int


def read_head(fd: int, size: int, tags: list[int]) -> Head:
    """Read the wanted elements of an open file of `size` bytes, without its pixel data.

    Raises PoisonError FILE_REFUSED for what is no DICOM file or is cut in its head,
    TransientError for the disk.
    """
    meta = _read_meta(fd)
    syntax = meta.transfer_syntax_uid
    if syntax == DeflatedExplicitVRLittleEndian:
        kept, size = _inflate(fd, meta.end)
        source: BinaryIO = io.BytesIO(kept)
    else:
        source = io.BufferedReader(io.FileIO(fd, closefd=False), _BLOCK)
        source.seek(meta.end)
    reader, stop = LimitedReader(source), StopAt(lambda tag: tag in _PIXEL_TAGS)
    little = syntax != ExplicitVRBigEndian
    implicit = syntax == ImplicitVRLittleEndian
    dataset = parse(reader, stop, implicit=implicit, little_endian=little, tags=tags)
    pixels = None
    if stop.tag is not None:
        length = None if stop.length == UNDEFINED else stop.length
        pixels = Pixels(tag=stop.tag, length=length, start=reader.tell() + stop.head)
    elif reader.tell() != size or not reader.clean:
        raise refused("the DICOM file is cut")
    return Head(meta=meta, dataset=dataset, pixels=pixels, little_endian=little, size=size)


def _read_meta(fd: int) -> Meta:
    try:
        head = os.pread(fd, _PREFIX.stop + _MAX_META, 0)
    except OSError as error:
        raise sort_os_error(error) from None
    if head[_PREFIX] != b"DICM":
        raise refused("the file is not DICOM (no preamble and prefix)")
    reader = LimitedReader(io.BytesIO(head[_PREFIX.stop :]))
    stop = StopAt(lambda tag: tag >> 16 != _META_GROUP)
    meta = parse(reader, stop, implicit=False, little_endian=True)
    sop_class, instance, syntax = (
        text_value(meta, tag) for tag in (0x00020002, 0x00020003, 0x00020010)
    )
    if not (sop_class and instance and syntax):
        raise refused("the DICOM file's meta information lacks a class, instance or syntax UID")
    return Meta(
        sop_class_uid=sop_class,
        sop_instance_uid=instance,
        transfer_syntax_uid=syntax,
        end=_PREFIX.stop + reader.tell(),
    )


def _inflate(fd: int, start: int) -> tuple[bytes, int]:
    """Inflate from an offset to the stream's end, at most MAX_INFLATED bytes.

    Gives the first MAX_HEAD bytes, and the number of all.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    kept, total = bytearray(), 0
    try:
        while not inflater.eof:
            block = inflater.unconsumed_tail
            if not block:
                block = os.pread(fd, _BLOCK, start)
                start += len(block)
            plain = inflater.decompress(block, _BLOCK)
            if not (block or plain or inflater.eof):
                raise refused("the deflated DICOM file is cut")
            total += len(plain)
            if total > MAX_INFLATED:
                raise refused(f"the deflated DICOM file swells above {MAX_INFLATED} bytes")
            kept += plain[: MAX_HEAD - len(kept)]
    except zlib.error:
        raise refused("the deflated DICOM file can't be inflated") from None
    except OSError as error:
        raise sort_os_error(error) from None
    return bytes(kept), total
