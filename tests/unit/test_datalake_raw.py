"""What the head of raw data tells."""

import contextlib
import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datalake.raw import MAX_HEADER, RawKind, inspect_raw
from models.errors import PoisonError
from models.wire import Cause


def inspect(folder: Path, data: bytes) -> RawKind:
    path = folder / "raw"
    path.write_bytes(data)
    fd = os.open(path, os.O_RDONLY)
    try:
        return inspect_raw(fd)
    finally:
        os.close(fd)


def npy(array: Any, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array), version=version)
    return file.getvalue()


def npy_with(header: str) -> bytes:
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_numpy_files_of_all_versions_are_taken(tmp_path: Path, version: tuple[int, int]) -> None:
    data = npy(np.zeros((3, 4), np.complex64), version)
    assert inspect(tmp_path, data) is RawKind.NUMPY


@pytest.mark.parametrize(
    "dtype",
    [
        "?",
        "i1",
        ">u2",
        "<f8",
        "c16",
        "S7",
        "U5",
        "V3",
        "M8[ns]",
        "m8",
        [("k", "<c8", (2, 3)), ("t", "<i8"), ("in", [("a", "u1"), ("b", "U2")])],
    ],
)
def test_the_length_is_worked_out_as_numpy_does(tmp_path: Path, dtype: Any) -> None:
    assert inspect(tmp_path, npy(np.zeros((2, 5), np.dtype(dtype)))) is RawKind.NUMPY


def test_an_empty_array_and_a_scalar_are_taken(tmp_path: Path) -> None:
    assert inspect(tmp_path, npy(np.zeros((0, 4)))) is RawKind.NUMPY
    assert inspect(tmp_path, npy(np.float32(1))) is RawKind.NUMPY


@pytest.mark.parametrize(
    "array",
    [np.array([{}], object), np.zeros(2, [("a", "f4"), ("b", "O")])],
)
def test_a_pickled_numpy_file_is_refused(tmp_path: Path, array: Any) -> None:
    with pytest.raises(PoisonError, match="pickled NumPy") as caught:
        inspect(tmp_path, npy(array))
    assert caught.value.cause is Cause.FILE_REFUSED


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_bare_pickle_is_refused(tmp_path: Path, protocol: int) -> None:
    with pytest.raises(PoisonError, match="pickle"):
        inspect(tmp_path, pickle.dumps([1.0, 2.0], protocol))


def test_hdf5_and_anything_else_are_taken(tmp_path: Path) -> None:
    assert inspect(tmp_path, b"\x89HDF\r\n\x1a\n rest") is RawKind.HDF5
    assert inspect(tmp_path, b"vendor") is RawKind.OTHER
    assert inspect(tmp_path, b"") is RawKind.OTHER


@pytest.mark.parametrize("cut", [1, 8, 96, 100, 110])
def test_a_cut_numpy_file_is_refused(tmp_path: Path, cut: int) -> None:
    with pytest.raises(PoisonError):
        inspect(tmp_path, npy(np.zeros(12))[:-cut])


def test_a_numpy_file_with_more_data_than_told_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PoisonError, match="holds 97 bytes of data, 96 by its header"):
        inspect(tmp_path, npy(np.zeros(12)) + b"x")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "None",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [1]}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True,)}",
        "{'descr': '<q9', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': 4, 'fortran_order': False, 'shape': (1,)}",
        "{'descr': [1], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': ('<f4', 'x'), 'fortran_order': False, 'shape': (1,)}",
        "{'descr': " + "(" * 20 + "'<f4'" + ", 1)" * 20 + ", 'fortran_order': False, 'shape': ()}",
        "__import__('os').abort()",
        "(" * 9000,
        "-" * 9000 + "1",
        "[" * 90 + "]" * 90,
        "x" * (MAX_HEADER + 1),
    ],
)
def test_a_malformed_header_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(PoisonError) as caught:
        inspect(tmp_path, npy_with(header))
    assert caught.value.cause is Cause.FILE_REFUSED


def test_an_unknown_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PoisonError, match="unknown version"):
        inspect(tmp_path, b"\x93NUMPY\x09\x00" + bytes(100))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=200), head=st.sampled_from([b"", b"\x93NUMPY\x01\x00", b"\x80"]))
def test_no_bytes_make_it_fail_otherwise(tmp_path: Path, data: bytes, head: bytes) -> None:
    with contextlib.suppress(PoisonError):
        inspect(tmp_path, head + data)
