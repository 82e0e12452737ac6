"""Streams that are closed, full or left; signals at any moment; files without an end: one line, never a traceback."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from examining import CROWDED, Doctor, recorded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiqdoctor.cli.streams import Stream
from kiqdoctor.doctor.report import Report
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.errors import AskedError
from kiqdoctor.examining.reporting import examination
from kiqdoctor.render.formats import NAMES
from kiqdoctor.text import disarmed

COMMANDS = ("--version", "list", "explain RED001", "check --replay facts.json", "gate --replay facts.json",
            "diff facts.json facts.json", "no-such-command")  # fmt: skip
LATER = """
import os, signal, sys
from kiqdoctor.__main__ import main
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGALRM, lambda number, frame: os.kill(os.getpid(), signal.SIGINT))
signal.setitimer(signal.ITIMER_REAL, float(sys.argv.pop(1)))
main()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    recorded(CROWDED, tmp_path / "facts.json")
    return tmp_path


def shell(words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A line of the shell in which `kiqdoctor` is the command."""
    line = f'kiqdoctor() {{ "{sys.executable}" -P -m kiqdoctor "$@"; }}; {words}'
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("KIQDOCTOR_", "REDIS_", "GITHUB"))
    }
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=kept,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def usual(folder: Path, request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]) -> int:
    """The exit status where nothing is wrong with the streams."""
    return Doctor(folder, capfd)(*request.param.split()).status


same = [(words, words) for words in COMMANDS]


@pytest.mark.parametrize(("usual", "words"), same, indirect=["usual"], ids=COMMANDS)
def test_what_is_wrong_with_a_stream_is_one_line_or_silence(folder: Path, usual: int, words: str) -> None:
    for streams in (">&-", ">&- 2>&- <&-", "2>/dev/full", "PYTHONIOENCODING=ascii"):
        ran = shell(f"{streams} kiqdoctor {words}" if "=" in streams else f"kiqdoctor {words} {streams}", folder)
        assert (ran.returncode, "Traceback" in ran.stderr) == (usual, False), (streams, ran.stderr)
    full = shell(f"kiqdoctor {words} >/dev/full", folder)
    assert full.returncode == 2
    assert len(full.stderr.splitlines()) == 1
    left = shell(f"kiqdoctor {words} | true; exit ${{PIPESTATUS[0]}}", folder)
    assert left.returncode in {usual, 141}
    assert "Traceback" not in left.stderr


@pytest.mark.parametrize(
    "hostile", ["/dev/zero", "/dev/full", "/", "huge", "deep", "empty", "number", "nul", "list", "json", "latin"]
)
@pytest.mark.parametrize(
    "words",
    ["check --replay {}", "gate --replay {}", "check --replay facts.json --baseline-run {}", "diff facts.json {}",
     "check --replay facts.json --baseline {}", "diff {} facts.json", "check --replay facts.json --config {}"],
)  # fmt: skip
def test_a_hostile_file_is_one_line(folder: Path, capfd: pytest.CaptureFixture[str], hostile: str, words: str) -> None:
    contents = {
        "deep": "[" * 1_000_000,
        "empty": "",
        "number": "9" * 400,
        "nul": "\0",
        "list": "[]",
        "json": '{"a": 1}',
        "latin": '{"schema": "\udce4"}',
    }
    file = folder / "hostile"
    if hostile.startswith("/"):
        file.symlink_to(hostile)
    elif hostile == "huge":
        file.touch()
        os.truncate(file, 2**40)
    else:
        file.write_text(contents[hostile], encoding="utf-8", errors="surrogateescape")

    ran = Doctor(folder, capfd)(*words.format("hostile").split())

    if "--config" in words and hostile == "empty":
        assert ran.status == 1
    else:
        assert (ran.status, len(ran.err.splitlines())) == (2, 1), ran.err


def mutations(value: Any) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([value]), st.just({})
    )


@given(st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_recording_is_judged_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    document: Any = json.loads(recorded(CROWDED, tmp_path / "any.json").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at: Any = document
        for _ in range(8):
            key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
            if not (isinstance(at[key], dict | list) and at[key]) or data.draw(st.integers(0, 5)) == 0:
                break
            at = at[key]
        at[key] = data.draw(mutations(at[key]))
    (tmp_path / "any.json").write_text(json.dumps(document))

    try:
        report = examination(Asked(replay=tmp_path / "any.json", live=True))
    except AskedError as error:
        said = str(error)
    else:
        said = ""
        assert isinstance(report, Report)
        assert [one.reason for one in report.results if "crashed" in (one.reason or "")] == []
    assert "\n" not in said


@pytest.mark.parametrize("words", ["check --static .", "list"])
def test_an_interrupt_at_any_moment_is_130(folder: Path, words: str) -> None:
    ends = set()
    for fiftieths in range(1, 26, 4):
        ran = subprocess.run(
            [sys.executable, "-P", "-c", LATER, str(fiftieths / 50), *words.split()],
            cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert "Traceback" not in ran.stderr, ran.stderr
        ends.add(ran.returncode)
        if ran.returncode != 130:
            break  # it was done before
    assert 130 in ends
    assert ends <= {130, 0, 1, 3, -signal.SIGALRM}  # the last: the timer rang when Python had taken its handlers down


WRAPPED = """
import os, signal
import kiqdoctor.cli
from kiqdoctor.__main__ import main

class Late:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), signal.SIGINT)

kiqdoctor.cli.run = lambda _: type("Owner", (), {"late": Late()})
main()
"""


def test_an_interrupt_that_becomes_another_error_is_130(folder: Path) -> None:
    ran = subprocess.run([sys.executable, "-P", "-c", WRAPPED], cwd=folder, capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (130, b"")


MARKS = ("##vso[task.setvariable variable=a]b", "##[error]x", "::error::x", "  ::add-mask::x", "section_start:1:name")


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_is_disarmed_and_then_stays(mark: str) -> None:
    assert disarmed(mark) != mark
    assert disarmed(disarmed(mark)) == disarmed(mark)
    assert disarmed(mark).replace(" ", "") == mark.replace(" ", "")


@given(
    st.lists(
        st.sampled_from([*MARKS, "\n", "#", "##", "vso[", "[", ":", "::", " ", "a", "section_end", ":1:"]), max_size=12
    )
)
def test_no_line_of_any_text_is_a_command(pieces: list[str]) -> None:
    for line in "".join(pieces).split("\n"):
        shown = disarmed(line)
        assert not re.search(r"##\w*\[", shown)
        assert not re.match(r"\s*::", shown)
        assert not re.search(r"\bsection_(?:start|end):\d", shown)


def test_a_line_that_is_written_in_pieces_begins_once(capfd: pytest.CaptureFixture[str]) -> None:
    stream = Stream(sys.stdout, must=True)
    for text in ("a", "::b\n", "::error::c\n"):
        stream.write(text)

    assert capfd.readouterr().out == "a::b\n: :error::c\n"


@pytest.mark.parametrize("form", [*NAMES])
@pytest.mark.parametrize("command", ["check", "gate"])
def test_no_format_and_no_error_holds_a_command(
    folder: Path, capfd: pytest.CaptureFixture[str], command: str, form: str
) -> None:
    doctor = Doctor(folder, capfd)
    text = "\n".join(f"{mark}\n" for mark in MARKS)
    raw = json.loads((folder / "facts.json").read_text())
    raw["facts"]["Fleet"] = {"refused": {"reason": text, "unlock": text}, "probe": "fleet", "at": 0.0, "took_ms": 0.0}
    (folder / "facts.json").write_text(json.dumps(raw))
    for words in ((), ("--require", "RED")):
        ran = doctor(command, "--replay", "facts.json", "--format", form, "--verbose", *words)
        theirs = [
            line for line in (ran.out + ran.err).split("\n") if not line.startswith(("::", "##vso[task.logissue "))
        ]
        ours = [line for line in ran.out.split("\n") if line.startswith(("::", "##vso[task.logissue "))]
        assert ours == [] or form in {"github", "azure"}
        for line in [*theirs, *(line[2:] for line in ours)]:
            assert not re.search(r"##\w*\[", line), line
            assert not re.search(r"\bsection_(?:start|end):\d", line), line
            assert not re.match(r"\s*::", line), line
    wrong: list[tuple[str, ...]] = [("explain", MARKS[0]), ("check", f"--select={MARKS[1]}"), (MARKS[0],)]
    for each in wrong:
        assert not re.search(r"##\w*\[", doctor(*each).err)
