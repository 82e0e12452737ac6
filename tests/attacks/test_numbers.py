"""A number from outside is one, within its range, or it is none: never an exception, never nonsense."""

import json
import math
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiqdoctor.doctor.facts.redis import Server
from kiqdoctor.probes.asking import number
from kiqdoctor.probes.host.kernel_log import read_log
from kiqdoctor.probes.native.crashes import listed, reports
from kiqdoctor.probes.queues.payloads import _blames
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


STAMPS = st.from_regex(
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:Z|[+-][0-9]{2}:?[0-9]{2})?", fullmatch=True
)


@given(STAMPS | st.sampled_from([b"0001-01-01T00:00:00", b"9999-12-31 23:59:59", b"0001-01-01 00:00:00+23:59"]))
def test_a_stamp_that_is_no_time_here_hides_no_crash(stamp: bytes) -> None:
    [found] = reports(stamp + b" pid=7 [BUG] Segmentation fault at 0x10\n", 5.0, "log")

    assert (found.pid, math.isfinite(found.at)) == (7, True)


@given(
    st.dictionaries(st.sampled_from(["sig", "time", "pid", "exe"]), ANYTHING.filter(lambda one: type(one) is not bytes))
)
def test_an_odd_record_of_a_core_hides_no_other(odd: dict[str, object]) -> None:
    sound = {"time": 1_700_000_000_000_000, "pid": 7, "sig": 11, "exe": "/usr/bin/ruby"}
    found = [one.pid for one in listed(json.dumps([odd, sound]).encode()) if one.at == 1.7e9]

    assert 7 in found


@given(st.text(st.sampled_from("a[]7:() ,traps:segfaultipx0"), max_size=15))
def test_a_process_name_feigns_no_other_s_end(name: str) -> None:
    for line in (f"traps: {name}[9] trap int3 ip:7 sp:7 error:0", f"{name}[9]: segfault at 0 ip 0 sp 0 error 4",
                 f"Out of memory: Killed process 9 ({name}) total-vm:1kB"):  # fmt: skip
        assert {one.pid for one in read_log([b"6,1,2,-;" + line.encode()], 0.0).events} <= {9}


def test_the_parts_of_a_long_name_cost_no_more_than_the_name() -> None:
    tracemalloc.start()
    try:
        assert not _blames("uninitialized constant X", "a." * 30_000)  # each of its beginnings would be 2 GB
        assert tracemalloc.get_traced_memory()[1] < 20 * 60_000
    finally:
        tracemalloc.stop()
    assert _blames("uninitialized constant Shop::SendMail", "Shop::SendMail")
