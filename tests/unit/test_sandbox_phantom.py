from uuid import UUID

import numpy as np
import pytest

from sandbox.device.orders import matrix_of
from sandbox.phantom import correlation, kspace, phantom, seed_of
from sandbox.reconstruction.image import reconstruct

RECORD = "01878b5e-d925-4068-8d2f-28c3872e8fa6"


@pytest.mark.parametrize("shape", [(128, 128), (96, 64), (33, 50), (17, 17)])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_what_is_scanned_comes_back(shape: tuple[int, int], dtype: type) -> None:
    image = phantom(*shape, seed_of(42))
    back = reconstruct(kspace(image).astype(dtype))
    assert back.shape == shape
    assert back.max() == 4095
    assert correlation(image, back) > 0.99


def test_brightness_is_between_0_and_1() -> None:
    for seed in range(20):
        image = phantom(64, 64, seed)
        assert image.min() == 0
        assert 0.5 < image.max() <= 1


def test_two_records_look_different() -> None:
    images = [phantom(128, 128, seed_of(record)) for record in (1, 2, 3, RECORD)]
    for number, image in enumerate(images):
        for other in images[:number]:
            assert correlation(image, other) < 0.99


def test_a_seed_is_the_same_for_every_spelling_and_process() -> None:
    assert seed_of(42) == seed_of("42") == 1934056628
    assert seed_of(RECORD) == seed_of(RECORD.upper()) == seed_of(str(UUID(RECORD)))
    assert np.array_equal(phantom(32, 32, seed_of(42)), phantom(32, 32, seed_of("42")))


def test_the_zero_frequency_lies_in_the_middle() -> None:
    image = phantom(32, 48, 1)
    measured = kspace(image)
    assert np.isclose(measured[16, 24], image.sum())


@pytest.mark.parametrize(
    ("definitions", "matrix"),
    [
        ("Matrix 64 96", (64, 96)),
        ("Matrix 96", (96, 96)),
        ("Matrix\t32  40  8", (32, 40)),
        ("Name epi\r\nMatrix 64 64\r", (64, 64)),
        ("Matrix 8 4096", (16, 1024)),
        ("Matrix 64 x", (128, 128)),
        ("Matrix -64 64", (128, 128)),
        ("Matrix", (128, 128)),
        ("MatrixSize 64 64", (128, 128)),
        ("", (128, 128)),
    ],
)
def test_the_matrix_is_read_from_the_definitions(definitions: str, matrix: tuple[int, int]) -> None:
    text = f"[VERSION]\nmajor 1\n\n[DEFINITIONS]\n{definitions}\n\n[BLOCKS]\n1 0 0\n"
    assert matrix_of(text) == matrix
    assert matrix_of(text.replace("\n", "\r\n")) == matrix


def test_a_matrix_outside_of_the_definitions_does_not_count() -> None:
    assert matrix_of("Matrix 64\n[BLOCKS]\nMatrix 64 64\n") == (128, 128)
