"""The gate in a container: no terminal, no HOME, a user that nobody knows, and one folder that can be written."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apart
import pytest

EXAMPLES: Final = Path(__file__).parent.parent.parent / "docs" / "examples"
NOBODY: Final = 10001  # the Dockerfile's user, whom no passwd file names
BARE: Final = ("PATH=/usr/bin:/bin", "LANG=C")
# Checks that look at this host's processes are left out: other tests' workers are none of ours.
GATE: Final = ("gate", "--embedded", "--ignore", "PRO001,PRO003,PRO004")
ROOT: Final = os.geteuid() == 0
READ_ONLY: Final = """
mount -o remount,ro,bind /
for folder in /tmp /var/tmp; do mount --bind $folder $folder && mount -o remount,ro,bind $folder; done
mount --bind {writable} {writable} && mount -o remount,rw,bind {writable}
mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}
"""


@dataclass(frozen=True)
class Ran:
    """Exit status and both streams of one run in the container."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Container:
    """A working directory that cannot be written, whoever asks, and a temporary one that can."""

    folder: Path
    writable: Path

    def run(self, *words: str, environ: tuple[str, ...] = BARE, temporary: bool = True, streams: str = "0<&-") -> Ran:
        variables = [*environ, *([f"TMPDIR={self.writable}"] if temporary else [])]
        stranger = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}"] if ROOT else []
        command = shlex.join([*stranger, "env", "-i", *variables, sys.executable, "-m", "kiqdoctor", *words])
        folder, writable = shlex.quote(str(self.folder)), shlex.quote(str(self.writable))
        # Root writes whatever the permissions say, so for root the mounts forbid it.
        sealed = READ_ONLY.format(folder=folder, writable=writable) if ROOT else ""
        shell = [*apart.APART, "--propagation", "private", "sh"] if ROOT else ["sh"]
        done = subprocess.run(
            [*shell, "-c", f"set -e{sealed or ';'}cd {folder}; exec {command} {streams}"],
            capture_output=True,
            timeout=300,
            check=False,
            start_new_session=True,  # no controlling terminal either
        )
        ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in ran.out + ran.err, ran.err
        assert "\x1b" not in ran.out + ran.err
        return ran

    def written(self) -> list[str]:
        """What stands in either folder that was not there before."""
        original = {one.name for one in EXAMPLES.rglob("*")}
        files = (one for folder in (self.folder, self.writable) for one in folder.rglob("*"))
        return [str(one) for one in files if one.name not in original]


Start = Callable[[str], Container]


def refused() -> str:
    """Why no container can be made here; empty where it can."""
    if not EXAMPLES.is_dir():
        return "docs/ is not here: an installed wheel's tests"
    if not ROOT:
        return ""
    words = [*apart.APART, "--propagation", "private", "sh", "-c"]
    script = f"mount -o remount,ro,bind / && unshare --user --map-user={NOBODY} --map-group={NOBODY} true"
    tried = subprocess.run([*words, script], capture_output=True, check=False)
    return f"root may not mount or map users here: {tried.stderr.decode().strip()[-200:]}" if tried.returncode else ""


@pytest.fixture(scope="module", autouse=True)
def _possible() -> None:
    if why := refused():
        pytest.skip(why)


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def started(example: str) -> Container:
        made = Container(tmp_path / "app", tmp_path / "writable")
        made.writable.mkdir()
        if example:
            shutil.copytree(EXAMPLES / example, made.folder, ignore=shutil.ignore_patterns("__pycache__", "*.db"))
        else:
            made.folder.mkdir()
        if not ROOT:
            made.folder.chmod(0o555)
        return made

    return started


def test_a_sound_application_is_healthy_and_nothing_is_written(start: Start) -> None:
    container = start("sound")

    found = container.run(*GATE, "--require", "RED001,RED003")

    assert found.status == 0, found.out + found.err
    assert found.err == ""
    assert found.out.startswith("kiqdoctor ")
    last = found.out.splitlines()[-1]
    assert last.startswith("kiqdoctor gate: passed: ")
    assert re.search(r"checks judged, not NAT001[^;]*; 0 findings; ", last), last
    assert container.written() == []


@pytest.mark.parametrize(
    "environ",
    [(), (*BARE, "TERM=dumb"), ("LC_ALL=C", "PYTHONCOERCECLOCALE=0", "PYTHONUTF8=0")],
    ids=["nothing", "dumb", "ascii"],
)
def test_faults_fail_it_in_whatever_environment(start: Start, environ: tuple[str, ...]) -> None:
    container = start("faulty")

    found = container.run(*GATE, environ=environ)

    assert (found.status, found.err) == (1, "")
    assert "→ Configure both from one constant." in found.out
    last = found.out.splitlines()[-1]
    assert last.startswith("kiqdoctor gate: FAILED: ")
    assert re.search(r"checks judged, not NAT001[^;]*; 7 findings \(1 critical, 5 high, 1 medium\); ", last), last
    assert container.written() == []


def test_where_there_is_nothing_to_look_at_it_fails(start: Start) -> None:
    found = start("").run("gate", "--static")

    assert found.status == 3
    assert found.out.splitlines()[-1].startswith("kiqdoctor gate: INCOMPLETE: ")


@pytest.mark.parametrize(
    ("system", "files"),
    [
        ("GITLAB_CI", ["gl-code-quality-report.json", "kiqdoctor-junit.xml"]),
        ("CIRCLECI", ["test-results/kiqdoctor/junit.xml"]),
        ("JENKINS_URL", ["kiqdoctor-junit.xml"]),
        ("TF_BUILD", ["TEST-kiqdoctor.xml"]),
        ("GITHUB_ACTIONS", ["summary.md"]),
    ],
)
def test_a_ci_system_s_files_that_cannot_be_written_are_told_and_change_no_status(
    start: Start, system: str, files: list[str]
) -> None:
    environ = (*BARE, f"{system}=true", "GITHUB_STEP_SUMMARY=summary.md")

    found = start("faulty").run("gate", "--static", environ=environ)

    assert found.status == 1
    told = [line.rpartition(": ")[0] for line in found.err.splitlines() if "annot write" in line]
    assert told == [f"kiqdoctor: cannot write {file}" for file in files]
    own = system in {"GITHUB_ACTIONS", "TF_BUILD"}  # there the log has a format of its own
    summary = found.err if own else found.out
    assert summary.splitlines()[-1].startswith("kiqdoctor gate: FAILED: ")


def test_a_file_that_was_asked_for_and_cannot_be_written_is_wrong_usage(start: Start) -> None:
    found = start("sound").run("gate", "--static", "--report", "junit=junit.xml")

    assert found.status == 2
    assert found.err.startswith("kiqdoctor: cannot write junit.xml: ")
    assert found.err.count("\n") == 1


@pytest.mark.skipif(not ROOT, reason="only root can take away every temporary folder")
def test_without_any_folder_that_can_be_written_the_embedded_server_says_what_it_needs(start: Start) -> None:
    found = start("sound").run(*GATE, temporary=False)

    assert found.status == 2
    assert found.out == ""
    assert found.err.startswith("kiqdoctor: the embedded server needs a folder that it can write: ")
    assert found.err.endswith("; name one in TMPDIR\n")
    assert found.err.count("\n") == 1


@pytest.mark.parametrize("streams", ["0<&- >&-", "0<&- >&- 2>&-"])
def test_with_its_streams_closed_the_status_is_all_that_it_says(start: Start, streams: str) -> None:
    container = start("faulty")

    found = container.run(*GATE, streams=streams)

    assert found == Ran(1, "", "")
    assert container.written() == []


def test_a_full_disk_under_its_output_is_one_line(start: Start) -> None:
    found = start("sound").run("gate", "--static", streams="0<&- >/dev/full")

    assert found.status == 2
    assert found.err == "kiqdoctor: cannot write to standard output: No space left on device\n"
