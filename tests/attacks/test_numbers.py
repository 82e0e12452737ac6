"""A number from outside is one, within its range, or it is none: never an exception, never nonsense."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiqdoctor.doctor.facts.redis import Server
from kiqdoctor.probes.asking import number
from kiqdoctor.wire.heartbeat import read_info, read_work
from kiqdoctor.wire.numbers import LARGEST, real, whole
from kiqdoctor.wire.stamps import plain, seconds

ODD = (
    "9" * 400,
    "9" * 5_000,
    "²",
    "٣",
    "1_000",
    " 7",
    "7\n",
    "+7",
    "0x10",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "",
    "-",
    "1.5.2",
    "1e",
)
ANYTHING = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60) | st.binary(max_size=60)
    | st.sampled_from(ODD) | st.lists(st.integers(), max_size=3)
)  # fmt: skip


@given(ANYTHING)
def test_every_reader_takes_anything(value: object) -> None:
    found = whole(value)
    assert found is None or (type(found) is int and 0 <= found <= LARGEST)
    for reader in (real, plain, seconds):
        told = reader(value)
        assert told is None or math.isfinite(told)
    assert isinstance(number(value), int)


@pytest.mark.parametrize("text", ODD)
def test_what_is_no_number(text: str) -> None:
    assert whole(text) is None
    assert whole(text.encode()) is None
    assert Server({"maxclients": text}).number("maxclients") is None


@given(st.integers(0, LARGEST))
def test_what_is_one(value: int) -> None:
    assert whole(value) == whole(str(value)) == whole(str(value).encode()) == value


@given(st.floats(-1e17, 1e17))
def test_a_float_s_own_spelling_is_read(value: float) -> None:
    assert real(value) == real(repr(value)) == value


@pytest.mark.parametrize("odd", ["9" * 400, "-1", '"x"', "true", "null", "[]"])
def test_a_record_with_an_odd_number_is_read_all_the_same(odd: str) -> None:
    info = read_info(f'{{"concurrency":{odd},"pid":{odd},"started_at":{odd},"tag":"shop"}}'.encode())
    assert (info.tag, info.concurrency) == ("shop", None)

    work = read_work("t1", f'{{"queue":"mail","payload":"{{}}","run_at":{odd}}}'.encode())
    assert work.queue == "mail"
