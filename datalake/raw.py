"""A look at the head of raw data: what it is, and whether reading it could run somebody's code."""

import ast
import math
import os
import re
from enum import StrEnum
from typing import Any, Final

from datalake.errors import sort_os_error
from models.errors import PoisonError
from models.wire import Cause


class RawKind(StrEnum):
    """What a raw data file is, by its first bytes."""

    NUMPY = "numpy"
    HDF5 = "hdf5"
    OTHER = "other"


MAX_HEADER: Final = 10_000
"""Bytes of a `.npy` header; NumPy's own limit for files that are not trusted."""

_NPY = b"\x93NUMPY"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_PICKLE = re.compile(rb"\x80[\x02-\x05]")  # protocols 2 to 5; older ones have no mark
_TYPE = re.compile(r"[<>=|]?([?biufcmMSaUVO])(\d{0,9})(\[[0-9a-zA-Z]{1,8}\])?")
_DEFAULT_SIZE = {"?": 1, "m": 8, "M": 8}
_MAX_DEPTH = 8  # of structured types


def inspect_raw(fd: int) -> RawKind:
    """Check an open file of raw data; blocking.

    Raises PoisonError FILE_REFUSED for pickled content (whoever loads it runs the sender's code),
    for a `.npy` header that can't be read, and where data length and shape disagree.
    """
    try:
        size = os.fstat(fd).st_size
        head = os.pread(fd, 12 + MAX_HEADER, 0)
    except OSError as error:
        raise sort_os_error(error) from None
    if head.startswith(_NPY):
        _check_npy(head, size)
        return RawKind.NUMPY
    if _PICKLE.match(head):
        raise _refused("the raw data is a pickle")
    return RawKind.HDF5 if head.startswith(_HDF5) else RawKind.OTHER


def _check_npy(head: bytes, size: int) -> None:
    version = head[6:8]
    width = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}.get(version)
    if width is None:
        raise _refused("the NumPy file has an unknown version")
    start = 8 + width
    end = start + int.from_bytes(head[8:start], "little")
    if end - start > MAX_HEADER or end > len(head):
        raise _refused("the NumPy file's header is cut or too long")
    header = _parse(head[start:end], "utf-8" if version == b"\x03\x00" else "latin-1")
    shape = header["shape"]
    if not isinstance(shape, tuple) or any(type(n) is not int or n < 0 for n in shape):
        raise _refused("the NumPy file's shape is malformed")
    announced = math.prod(shape) * _item_size(header["descr"])
    if size - end != announced:
        raise _refused(
            f"the NumPy file holds {size - end} bytes of data, {announced} by its header"
        )


def _parse(text: bytes, encoding: str) -> dict[str, Any]:
    try:
        header = ast.literal_eval(text.decode(encoding).strip())
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        # The last two: deep nesting in a short text; the text itself is at most MAX_HEADER bytes.
        header = None
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise _refused("the NumPy file's header can't be read")
    return header


def _item_size(descr: Any, depth: int = 0) -> int:
    """Give the bytes of one item of a NumPy type, as `numpy.lib.format.dtype_to_descr` writes it.

    A text; a list of fields (name, type[, shape]); or a pair (type, shape).
    """
    if depth > _MAX_DEPTH:
        raise _refused("the NumPy file's type is nested too deeply")
    if isinstance(descr, str):
        return _plain_size(descr)
    if isinstance(descr, list):
        return sum(_field_size(field, depth) for field in descr)
    if isinstance(descr, tuple) and len(descr) == 2:  # noqa: PLR2004 - a pair
        return _item_size(descr[0], depth + 1) * _count(descr[1])
    raise _refused("the NumPy file's type is malformed")


def _field_size(field: Any, depth: int) -> int:
    if not isinstance(field, tuple) or len(field) not in {2, 3}:
        raise _refused("the NumPy file's type is malformed")
    count = _count(field[2]) if len(field) == 3 else 1  # noqa: PLR2004 - name, type, shape
    return _item_size(field[1], depth + 1) * count


def _plain_size(descr: str) -> int:
    match = _TYPE.fullmatch(descr)
    if match is None:
        raise _refused("the NumPy file's type is unknown")
    kind, digits, _ = match.groups()
    if kind == "O":
        raise _refused("the raw data is a pickled NumPy file")
    size = int(digits) if digits else _DEFAULT_SIZE.get(kind)
    if size is None:
        raise _refused("the NumPy file's type has no size")
    return size * 4 if kind == "U" else size


def _count(shape: Any) -> int:
    dimensions = shape if isinstance(shape, tuple) else (shape,)
    if any(type(n) is not int or n < 0 for n in dimensions):
        raise _refused("the NumPy file's type is malformed")
    return math.prod(dimensions)


def _refused(sentence: str) -> PoisonError:
    return PoisonError(sentence, Cause.FILE_REFUSED)
