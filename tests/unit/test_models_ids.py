"""Ids: kept as they came, one canonical text, nothing taken for an id that is none."""

from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from models import wire
from models.base import (
    MAX_RECORD_ID,
    RecordId,
    canonical,
    is_integer_id,
    is_uuid,
)

IDS: TypeAdapter[int | str] = TypeAdapter(RecordId)
UUID_TEXT = "0b7c2f7e-6a39-4a86-9a0e-2f0c1d5e8b11"
INTEGERS = st.integers(0, MAX_RECORD_ID)


@given(
    INTEGERS | INTEGERS.map(str) | st.uuids().map(str) | st.uuids().map(lambda u: str(u).upper())
)
def test_an_id_is_kept_as_it_came(value: int | str) -> None:
    kept = IDS.validate_python(value)
    assert kept == value
    assert type(kept) is type(value)
    assert IDS.validate_json(IDS.dump_json(kept)) == value


@given(INTEGERS)
def test_an_integer_and_its_digits_are_one_id(number: int) -> None:
    assert canonical(number) == canonical(str(number)) == str(number)
    assert is_integer_id(number)
    assert is_integer_id(str(number))


@given(st.uuids())
def test_a_uuid_in_any_case_is_one_id(value: UUID) -> None:
    assert canonical(str(value).upper()) == canonical(str(value)) == str(value)
    assert is_uuid(str(value).upper())
    assert not is_integer_id(str(value))


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        None,
        1.0,
        float("nan"),
        -1,
        MAX_RECORD_ID + 1,
        "",
        " 1",
        "1 ",
        "1\n",
        "01",
        "-1",
        "+1",
        "1e3",
        "\u0661",  # an Arabic-Indic one: a digit, but not ours
        "../1",
        UUID_TEXT.replace("-", ""),
        "{" + UUID_TEXT + "}",
        UUID_TEXT + "\n",
        [1],
        {"id": 1},
    ],
)
def test_what_is_no_id_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        IDS.validate_python(value)


def test_digits_beyond_the_range_are_refused_as_the_number_is() -> None:
    with pytest.raises(ValidationError):
        IDS.validate_python(str(MAX_RECORD_ID + 1))


@given(st.text(max_size=50), st.text(max_size=20), st.integers())
def test_an_id_that_we_make_is_the_same_on_every_repeat(request: str, kind: str, n: int) -> None:
    made = wire.make_id(request, kind, n)
    assert made == wire.make_id(request, kind, n)
    assert UUID(made).version == 5
    assert made != wire.make_id(request, kind, n + 1)
    assert made != wire.make_id(request + "x", kind, n)


def test_ids_of_neighbours_do_not_meet() -> None:
    assert wire.make_id("a", "b", "c") != wire.make_id("ab", "", "c")
    assert wire.make_id("1", "k", 11) != wire.make_id("1", "k1", 1)


@given(st.text(), st.text(), st.one_of(st.integers(), st.text()))
def test_what_follows_from_a_request_has_a_uuid_of_version_5(
    request: str, kind: str, number: int | str
) -> None:
    namespace = UUID("0f0f2b9d-6e0f-5d53-9e0f-5c1f7a3b2d11")
    assert wire.make_id(request, kind, number) == str(
        uuid5(namespace, f"{request}\x1f{kind}\x1f{number}")
    )
