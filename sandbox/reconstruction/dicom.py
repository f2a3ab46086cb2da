"""An image as a DICOM file: MR Image Storage, single frame, as in DICOM PS3.3 A.4.

All attributes of type 1 have a value; those of type 2 that we know nothing of are present and
empty, the patient's above all: this worker is never told whose image it makes.
"""

import io
from typing import Final
from uuid import UUID

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

from models.wire import make_id
from sandbox.reconstruction.image import BITS, Pixels

PIXEL_MM: Final = 1.0
"""Nominal: a RecoJob says nothing of the field of view, and PixelSpacing must have a value."""

_UNKNOWN: Final = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
    *("PatientPosition", "PositionReferenceIndicator", "SliceThickness"),
    *("ScanOptions", "RepetitionTime", "EchoTime", "EchoTrainLength"),
)
"""Type 2 (PatientPosition and RepetitionTime: 2C, and due in this case): present, without value."""


def dicom_file(pixels: Pixels, reco_job_id: str) -> bytes:
    """Give the whole file. The same job gives the same bytes, so a repeat changes nothing."""
    rows, columns = pixels.shape
    image = Dataset()
    for keyword in _UNKNOWN:
        setattr(image, keyword, None)

    image.SpecificCharacterSet = "ISO_IR 192"
    image.SOPClassUID = MRImageStorage
    image.SOPInstanceUID = _uid(reco_job_id, "instance")
    image.StudyInstanceUID = _uid(reco_job_id, "study")
    image.SeriesInstanceUID = _uid(reco_job_id, "series")
    image.FrameOfReferenceUID = _uid(reco_job_id, "frame-of-reference")
    image.SeriesNumber = 1
    image.InstanceNumber = 1

    image.Modality = "MR"
    image.Manufacturer = "ScanHub sandbox"
    image.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    image.ScanningSequence = "RM"  # research mode
    image.SequenceVariant = "NONE"
    image.MRAcquisitionType = "2D"
    image.BurnedInAnnotation = "NO"
    image.ImageComments = "Simulated. Not for diagnosis. Pixel spacing is nominal."

    image.PixelSpacing = [PIXEL_MM, PIXEL_MM]
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]  # axial
    # Of the first pixel's centre; the image's middle lies at the origin.
    image.ImagePositionPatient = [-(columns - 1) / 2 * PIXEL_MM, -(rows - 1) / 2 * PIXEL_MM, 0]

    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows, image.Columns = rows, columns
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, BITS, BITS - 1
    image.PixelRepresentation = 0
    image.WindowCenter, image.WindowWidth = 2 ** (BITS - 1), 2**BITS
    image.PixelData = pixels.astype("<u2").tobytes()

    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    # Adds the preamble and the group length, and refuses what would not be a DICOM file.
    pydicom.dcmwrite(buffer, image, enforce_file_format=True)
    return buffer.getvalue()


def _uid(reco_job_id: str, kind: str) -> UID:
    """Make a UID from a UUID, under 2.25 (DICOM PS3.5 B.2); the same for the same job."""
    return UID(f"2.25.{UUID(make_id(reco_job_id, kind)).int}")
