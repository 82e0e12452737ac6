"""An examination as it is composed: what people decided is settled once, before anything is read."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from examining import CROWDED, recorded

from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.configuration import Configuration
from kiqdoctor.examining.decisions import decided
from kiqdoctor.examining.errors import AskedError
from kiqdoctor.examining.examination import examination, prepared
from kiqdoctor.examining.living import recorded as played


@contextmanager
def counted(function: object) -> Iterator[list[None]]:
    """A mark for each call of the function."""
    calls: list[None] = []
    code = getattr(function, "__code__", None)

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is code:
            calls.append(None)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(before)


def test_what_people_decided_is_settled_once_an_examination(tmp_path: Path) -> None:
    turned = Configuration(Path("kiqdoctor.toml"), {"checks": {"RED002": {"near": 0.99}}})
    asked = Asked(replay=recorded(CROWDED, tmp_path / "facts.json"), configuration=turned)

    with counted(decided) as calls:
        report = examination(asked)

    assert len(calls) == 1
    assert next(one.outcome.value for one in report.results if one.check.id == "RED002") == "pass"


def test_and_once_for_all_recordings_that_are_played(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        recorded(CROWDED, tmp_path / name)

    with counted(decided) as calls:
        looks = played(tmp_path, Asked()).looks

    assert (len(looks), len(calls)) == (2, 1)


def test_what_is_wrong_with_it_is_said_before_anything_is_read() -> None:
    with pytest.raises(AskedError, match="no check has the id, prefix, name or category 'NOPE'"):
        prepared(Asked(select=("NOPE",)))
