"""`kiqdoctor new check` writes a check that works and tests that pass; it never touches what is there."""

import subprocess
import sys
from pathlib import Path

import pytest
from doctoring import kiqdoctor


def pytest_in(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    assert kiqdoctor("new", "check", "queue-too-long", cwd=tmp_path).status == 0
    return tmp_path


def test_its_tests_pass(written: Path) -> None:
    ran = pytest_in(written)

    assert ran.returncode == 0, ran.stdout
    assert "4 passed" in ran.stdout


def test_its_tests_fail_when_the_check_finds_nothing(written: Path) -> None:
    file = written / "checks" / "own" / "queue_too_long.py"
    file.write_text(file.read_text().replace("if queue.size > MOST", "if queue.size > MOST + 1"))

    assert "1 failed, 3 passed" in pytest_in(written).stdout


def test_the_doctor_knows_it_at_once(written: Path) -> None:
    listed = kiqdoctor("list", "--checks", "checks", cwd=written).out
    page = kiqdoctor("explain", "OWN001", "--checks", "checks", cwd=written).out

    assert "OWN001  queue-too-long                 medium    own" in listed
    assert "MOST = 10000: jobs" in page


def test_the_next_one_gets_the_next_number(written: Path) -> None:
    words = ("new", "check", "another", "--category", "shop")

    assert kiqdoctor(*words, cwd=written).status == 0
    assert '@check("OWN002"' in (written / "checks" / "shop" / "another.py").read_text()
    assert "8 passed" in pytest_in(written).stdout


def test_what_is_there_is_never_touched(written: Path) -> None:
    test = written / "tests" / "checks" / "own" / "test_later.py"
    test.write_text("mine")

    found = kiqdoctor("new", "check", "later", cwd=written)

    assert (found.status, found.err) == (2, "kiqdoctor: tests/checks/own/test_later.py is there already\n")
    assert test.read_text() == "mine"
    assert not (written / "checks" / "own" / "later.py").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("Queue Too Long",), "NAME must be small letters"),
        (("../up",), "NAME must be small letters"),
        (("class",), "NAME must be small letters"),
        (("ok", "--category", "../up"), "--category must be small letters"),
        (("ok", "--id", "ok1"), "--id must be three capitals"),
        (("ok", "--id", "RED001"), "--id: RED001 is redis-unreachable"),
        (("redis-unreachable",), "there is a check called redis-unreachable"),
        (("redis_unreachable",), "there is a check called redis-unreachable"),
    ],
)
def test_wrong_words_write_nothing(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    found = kiqdoctor("new", "check", *words, cwd=tmp_path)

    assert found.status == 2
    assert said in found.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "checks").write_text("a file")

    found = kiqdoctor("new", "check", "ok", cwd=tmp_path)

    assert found.status == 2
    assert len(found.err.splitlines()) == 1
