"""Who a DICOM file is, and whether it is whole.

Three levels: the container (part10.py, pixels.py) and the identity are refused where they are
wrong; what is missing of the IOD is told, since a research reconstruction often lacks some.
"""

import os
import re
from typing import Final

from datalake.dicom_reader import refused, text_value
from datalake.identity import DicomIdentity
from datalake.mr_iod import IMAGES, MR_SPECTROSCOPY, lacks, wanted_tags
from datalake.part10 import Head, read_head
from datalake.pixels import COLUMNS, ROWS, check_pixels, frames_of, number_of

MAX_DICOM: Final = 4 * 2**30
"""Bytes of a DICOM file."""

_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")
_MAX_UID = 64
_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E


def identify(fd: int) -> DicomIdentity:
    """Do the work of inspect_dicom on an open file; blocking. Pixel data is not read.

    Raises PoisonError FILE_REFUSED.
    """
    size = os.fstat(fd).st_size
    if size > MAX_DICOM:
        raise refused(f"the DICOM file is larger than {MAX_DICOM} bytes")
    head = read_head(fd, size, list(wanted_tags()))
    sop_class, instance, study, series = (
        _uid(head, tag) for tag in (_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES)
    )
    if (sop_class, instance) != (head.meta.sop_class_uid, head.meta.sop_instance_uid):
        raise refused("the DICOM file's meta information names another object than its dataset")
    if not _is_uid(head.meta.transfer_syntax_uid):
        raise refused("the DICOM file's transfer syntax is malformed")
    rows, columns = number_of(head, ROWS), number_of(head, COLUMNS)
    if head.pixels is not None:
        check_pixels(fd, head, head.pixels)
    elif sop_class in IMAGES or (rows and sop_class != MR_SPECTROSCOPY):
        raise refused("the DICOM file is an image without pixel data, or cut")
    return DicomIdentity(
        sop_class_uid=sop_class,
        sop_instance_uid=instance,
        study_instance_uid=study,
        series_instance_uid=series,
        rows=rows,
        columns=columns,
        frames=frames_of(head),
        transfer_syntax_uid=head.meta.transfer_syntax_uid,
        lacks=lacks(head.dataset, sop_class),
    )


def _uid(head: Head, tag: int) -> str:
    text = text_value(head.dataset, tag)
    if not _is_uid(text):
        raise refused("a UID of the DICOM file is missing or malformed")
    return text


def _is_uid(text: str) -> bool:
    return len(text) <= _MAX_UID and _UID.fullmatch(text) is not None
