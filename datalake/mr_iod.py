"""What a DICOM object of ours should hold, by PS3.3: types 1 (a value) and 2 (may be empty).

Modules of the MR Image IOD (A.4.3): Patient, General Study, General Series, Frame of Reference,
General Equipment, General Image, Image Plane, Image Pixel, MR Image, SOP Common. Conditional
attributes (1C, 2C) are left out: their conditions need more than a look at the head.
"""

from functools import cache
from typing import Final

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from datalake.dicom_reader import raw_value

MR_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.4.1"
MR_SPECTROSCOPY: Final = "1.2.840.10008.5.1.4.1.1.4.2"
ENHANCED_MR_COLOR_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.4.3"
LEGACY_ENHANCED_MR_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.4.4"

IMAGES: Final = frozenset(
    {MR_IMAGE, ENHANCED_MR_IMAGE, ENHANCED_MR_COLOR_IMAGE, LEGACY_ENHANCED_MR_IMAGE}
)
"""Classes that are nothing without pixel data."""

_WITH_VALUE = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality"]
_PRESENT = [
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "SeriesNumber",
]
_IMAGE_WITH_VALUE = [
    "FrameOfReferenceUID",
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "ScanningSequence",
    "SequenceVariant",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
]
_IMAGE_PRESENT = [
    "InstanceNumber",
    "Manufacturer",
    "PositionReferenceIndicator",
    "SliceThickness",
    "ScanOptions",
    "MRAcquisitionType",
    "EchoTime",
    "EchoTrainLength",
]


def lacks(dataset: Dataset, sop_class_uid: str) -> tuple[str, ...]:
    """Name the attributes that are missing (or empty, where a value is required).

    Other classes than MR Image are asked for patient, study and series only: Enhanced MR keeps the
    rest in functional groups.
    """
    classic = sop_class_uid == MR_IMAGE
    with_value = _WITH_VALUE + (_IMAGE_WITH_VALUE if classic else [])
    present = _PRESENT + (_IMAGE_PRESENT if classic else [])
    empty = [name for name in with_value if not raw_value(dataset, _tag(name))]
    return tuple(empty + [name for name in present if raw_value(dataset, _tag(name)) is None])


@cache
def wanted_tags() -> tuple[int, ...]:
    """Give the tags that a check reads."""
    names = [*_WITH_VALUE, *_PRESENT, *_IMAGE_WITH_VALUE, *_IMAGE_PRESENT, "NumberOfFrames"]
    return tuple(_tag(name) for name in names)


@cache
def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag
