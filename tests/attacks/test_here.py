"""Nothing is imported from where we are, which may be the audited tree; no child's command line holds a password."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

MODULES = ("redis", "click", "yaml", "json", "signal", "msgspec", "hiredis", "psutil", "rich", "textual", "django",
           "_pytest", "dataclasses", "tomllib", "packaging", "usercustomize", "tree_sitter")  # fmt: skip
RUNPY = ("types",)
"""What `python -m` itself imports from here before any of ours is run: the script and -P do not."""
HOSTILE = "import pathlib, sys\npathlib.Path(r'{mark}').touch()\n"
EXAMINE = "import sys; from kiqdoctor.integrations.static_checks import examine; print(len(examine('.')[0]))"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """An audited tree whose modules bear the names of what we import."""
    for name in MODULES:
        (tmp_path / f"{name}.py").write_text(HOSTILE.format(mark=tmp_path / "ran"))
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'shop'\n")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-m", "kiqdoctor", "check", "--static"],
        [sys.executable, "-m", "kiqdoctor", "--version"],
        [str(Path(sys.executable).with_name("kiqdoctor")), "check", "--static"],
        [sys.executable, "-P", "-c", EXAMINE],
        [sys.executable, "-m", "kiqdoctor", "work", "--help"],
    ],
    ids=["check", "version", "script", "integrations", "work"],
)
def test_hostile_modules_stay_unread(here: Path, command: list[str]) -> None:
    for name in RUNPY if command[1] != "-m" else ():
        (here / f"{name}.py").write_text(HOSTILE.format(mark=here / "ran"))

    ran = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=60, check=False)

    assert not (here / "ran").exists()
    assert "Traceback" not in ran.stderr
    assert ran.stdout


def test_the_healthy_twin_work_imports_its_modules_from_here(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(HOSTILE.format(mark=tmp_path / "ran") + "raise ValueError('enough')\n")

    subprocess.run(
        [sys.executable, "-m", "kiqdoctor", "work", "shop"], cwd=tmp_path, capture_output=True, timeout=60, check=False
    )

    assert (tmp_path / "ran").exists()


def test_children_that_serve_browsers_do_not_look_here(monkeypatch: pytest.MonkeyPatch) -> None:
    from kiqdoctor.top import browsers

    started: list[str] = []

    class Stub:
        def __init__(self, command: str, **_: object) -> None:
            started.append(command)

        def serve(self) -> None:
            return

    monkeypatch.setattr(browsers, "_Server", Stub)
    browsers.serve("127.0.0.1", 1, ["top"])

    assert " -P -m kiqdoctor top" in started[0]


def test_no_command_line_of_the_demo_holds_its_password(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "kiqdoctor", "demo"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    seen: set[bytes] = set()
    while demo.poll() is None:
        seen |= {line for pid in below(demo.pid) if (line := command_line(pid))}
        time.sleep(0.02)
    out, err = demo.communicate()

    assert demo.returncode == 0, err
    assert b"embedded" in out
    assert any(b"work" in line for line in seen), "its worker was never seen"
    assert [line for line in seen if re.search(rb"://[^/\0]*@", line)] == []


def below(pid: int) -> set[int]:
    """Processes that descend from one."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, new = {pid}, {pid}
    while new := {child for child, parent in parents.items() if parent in new} - found:
        found |= new
    return found


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
