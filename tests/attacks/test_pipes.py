"""A pipe that somebody names in place of a file is read to its end, and not waited for without one."""

import os
from pathlib import Path
from threading import Thread

import pytest

from kiqdoctor import reading
from kiqdoctor.reading import PART, whole


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_its_writer_may_come_late_and_in_pieces(pipe: Path) -> None:
    pieces = [b"a" * 10, b"b" * 3 * PART, b"c"]

    def write() -> None:
        with pipe.open("wb", buffering=0) as out:
            for piece in pieces:
                view = memoryview(piece)
                while view:
                    view = view[out.write(view) :]

    writer = Thread(target=write)
    writer.start()

    assert whole(pipe) == b"".join(pieces)
    writer.join()


@pytest.mark.parametrize("written", [b"", b"{"], ids=["nobody", "no end"])
def test_it_is_not_waited_for_without_an_end(pipe: Path, monkeypatch: pytest.MonkeyPatch, written: bytes) -> None:
    monkeypatch.setattr(reading, "PATIENCE", 0.1)
    number = os.open(pipe, os.O_RDWR) if written else None
    if number is not None:
        os.write(number, written)

    with pytest.raises(OSError, match=r"its end did not come within 0\.1 s"):
        whole(pipe)

    if number is not None:
        os.close(number)


def test_what_is_larger_than_it_may_be_is_refused(pipe: Path) -> None:
    number = os.open(pipe, os.O_RDWR)
    os.write(number, b"123456")

    with pytest.raises(OSError, match="it holds more than 5 bytes"):
        whole(pipe, 5)

    os.close(number)
