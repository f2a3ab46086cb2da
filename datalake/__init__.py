"""Where files lie: safe paths, verified copies, reading in chunks, DICOM and raw data checks."""

from datalake.copying import Stored
from datalake.errors import FileMissing
from datalake.identity import DicomIdentity, inspect_dicom
from datalake.paths import open_contained
from datalake.raw import RawKind
from datalake.store import DataLake, Found

__all__ = [
    "DataLake",
    "DicomIdentity",
    "FileMissing",
    "Found",
    "RawKind",
    "Stored",
    "inspect_dicom",
    "open_contained",
]
