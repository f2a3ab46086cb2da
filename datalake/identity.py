"""Who a DICOM file is, asked without loading pydicom before there is one.

pydicom and numpy take a third of a second of a start and 25 MB, and a worker that comes back after a
crash has scans to go on with first.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datalake.store import DataLake


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomIdentity:
    """A DICOM object's identity and size; `rows` and `columns` are 0 where it is no image.

    `lacks` names attributes of type 1 and 2 that are missing (PS3.3).
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    rows: int
    columns: int
    frames: int
    transfer_syntax_uid: str
    lacks: tuple[str, ...] = ()


def identify(fd: int) -> DicomIdentity:
    """Check an open DICOM file and give its identity; blocking (datalake/dicom.py).

    Raises PoisonError FILE_REFUSED.
    """
    from datalake import dicom  # noqa: PLC0415 - see above

    return dicom.identify(fd)


async def inspect_dicom(lake: "DataLake", location: str) -> DicomIdentity:
    """Check a DICOM file in the data lake and give its identity.

    Raises PoisonError FILE_REFUSED for what is unreadable, cut or has no identity (the sentence
    names the kind of problem, never the content), and as open_contained does.
    """
    return await lake.work_on(location, lambda fd, _: identify(fd))
