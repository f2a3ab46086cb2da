"""pydicom's parser behind limits, and silenced: what it would log or warn holds values."""

import logging
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO, Final, cast

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from datalake.errors import sort_os_error
from models.errors import PoisonError, ScanHubError, TransientError
from models.wire import Cause

MAX_HEAD: Final = 64 * 2**20
"""Bytes read of a dataset before its pixel data; some 10,000 frames of an Enhanced MR image."""

MAX_READS: Final = 1_000_000
"""Calls to read them. Each empty item of a sequence costs one, and about 1 kB of memory."""


UNDEFINED: Final = 0xFFFFFFFF
"""Length of what ends with a delimiter."""


def refused(sentence: str) -> PoisonError:
    """Make the error of a file that is not taken."""
    return PoisonError(sentence, Cause.FILE_REFUSED)


class StopAt:
    """Ends the parsing before the first tag that `when` accepts, and keeps that tag's head."""

    def __init__(self, when: Callable[[int], bool]) -> None:
        self._when = when
        self.tag: int | None = None
        self.length = 0
        self.head = 8

    def __call__(self, tag: BaseTag, vr: str | None, length: int) -> bool:
        """Answer pydicom's question; `vr` is None in implicit encoding, `length` in bytes."""
        if not self._when(tag):
            return False
        self.tag, self.length = int(tag), length
        self.head = 12 if vr in EXPLICIT_VR_LENGTH_32 else 8  # bytes of tag, VR and length
        return True


class LimitedReader:
    """The part of a file object that pydicom uses, with an end to patience."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._bytes = 0
        self._reads = 0
        self.clean = False
        self.failure: ScanHubError | None = None

    def read(self, size: int = -1) -> bytes:
        """Read `size` bytes; raises PoisonError above the limits, OSError as it comes."""
        self._bytes += size
        self._reads += 1
        if size < 0 or self._bytes > MAX_HEAD or self._reads > MAX_READS:
            self.failure = refused("the DICOM file's head is cut, or too large")
            raise self.failure
        try:
            data = self._file.read(size)
        except OSError as error:
            # Kept: pydicom turns whatever happens inside a sequence into an OSError of its own.
            self.failure = sort_os_error(error)
            raise
        # The parser ends well only where it asks for a next element and there is none.
        self.clean = size == 8 and not data  # noqa: PLR2004 - tag, VR and length
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move, as files do."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Give the offset in bytes."""
        return self._file.tell()


def parse(
    reader: LimitedReader,
    stop: StopAt,
    *,
    implicit: bool,
    little_endian: bool,
    tags: list[int] | None = None,
) -> Dataset:
    """Read the elements named by `tags` (all, if None) up to `stop`, as bytes, unconverted.

    Raises PoisonError FILE_REFUSED with the kind of problem only, or TransientError.
    """
    _silence()
    wanted: list[BaseTag | int] | None = list(tags) if tags is not None else None
    try:
        dataset = read_dataset(
            # pydicom asks for a BinaryIO and uses read, seek and tell of it.
            cast("BinaryIO", reader),
            implicit,
            little_endian,
            stop_when=stop,
            specific_tags=wanted,
        )
        if not any(_is_cut(dataset, tag) for tag in dataset.keys()):  # noqa: SIM118 - unconverted
            return dataset
        failure: ScanHubError = refused("the DICOM file is cut")
    except MemoryError:
        failure = TransientError("no memory to look at a DICOM file", sent=False)
    except Exception as error:  # noqa: BLE001 - pydicom raises anything; its text holds values
        failure = reader.failure or refused(
            f"the DICOM file can't be read ({type(error).__name__})"
        )
    # Raised here and not above: the original must not hang on it as its context.
    raise failure


def _is_cut(dataset: Dataset, tag: BaseTag) -> bool:
    """Tell whether a value is shorter than its length says; pydicom takes what it gets."""
    element: Any = dataset.get_item(tag)  # raw as it was read, which pydicom's types don't say
    if not isinstance(element, RawDataElement) or not isinstance(element.value, bytes):
        return False
    return element.length not in {len(element.value), UNDEFINED}


def raw_value(dataset: Dataset, tag: int) -> bytes | None:
    """Give an element's bytes as they lie in the file; None if it is missing.

    Never through pydicom's converters: they put values into warnings and errors.
    """
    if tag not in dataset:
        return None
    value = dataset.get_item(tag).value
    return value if isinstance(value, bytes) else b""


def text_value(dataset: Dataset, tag: int) -> str:
    """Give an element's text without padding; empty if it is missing."""
    return (raw_value(dataset, tag) or b"").decode("latin-1").strip(" \0")


def _silence() -> None:
    """Drop what pydicom logs and warns: it names values (test: a planted patient's name).

    Set at each use, as whoever sets up logging or warnings may undo it. `catch_warnings` would
    not do: it swaps the filters of the whole process, and two threads swap them back wrongly.
    """
    logging.getLogger("pydicom").addFilter(_drop)
    warnings.filterwarnings("ignore", module=r"pydicom(\.|$)|datalake(\.|$)")


def _drop(_: logging.LogRecord) -> bool:
    return False
