"""The line of source that a finding is about, shown with a caret, and never a secret."""

from pathlib import Path

import pytest

from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.reporting import examination
from kiqdoctor.render.formats.text import render

HEAD = "import dramatiq, os\n@dramatiq.actor\ndef go(i):\n"


def shown(root: Path, line: str) -> list[str]:
    (root / "jobs.py").write_text(HEAD + line + "\n")
    (root / "requirements.txt").write_text("dramatiq==1.17.0\n")
    return render(examination(Asked(root, static=True, select=("COD007",)))).splitlines()


@pytest.mark.parametrize(
    ("line", "source", "caret"),
    [
        ("    os.chdir(i)", "4 | os.chdir(i)", "^"),
        ("\tif i: os.chdir(i)", "4 | if i: os.chdir(i)", "      ^"),
        ("    'ä漢'; os.chdir(i)", "4 | 'ä漢'; os.chdir(i)", "       ^"),
    ],
)
def test_a_caret_stands_under_the_place(tmp_path: Path, line: str, source: str, caret: str) -> None:
    lines = shown(tmp_path, line)
    [at] = [number for number, one in enumerate(lines) if one.strip() == source]

    assert lines[at + 1] == f"            | {caret}"


@pytest.mark.parametrize(
    "line",
    [
        "    password = 'hunter2'; os.chdir(i)",
        "    url = 'redis://:hunter2@h'; os.chdir(i)",
        "    x = 'hunter2" + "A" * 40 + "'; os.chdir(i)",
        "    os.chdir(i)  # hunter2" + "x" * 500,
    ],
)
def test_what_may_hold_a_secret_is_not_shown(tmp_path: Path, line: str) -> None:
    text = "\n".join(shown(tmp_path, line))

    assert "os.chdir" in text
    assert "hunter2" not in text


def test_terminal_escapes_of_a_file_do_nothing(tmp_path: Path) -> None:
    assert not any("\x1b" in one for one in shown(tmp_path, "    os.chdir(i); '\x1b[2J'"))


@pytest.mark.parametrize("check", ["COD015", "DBC002"])
def test_a_rule_of_python_does_not_apply_to_ruby_alone(tmp_path: Path, check: str) -> None:
    (tmp_path / "job.rb").write_text("class J\n  include Sidekiq::Job\n  def perform; end\nend\n")
    [one] = examination(Asked(tmp_path, static=True, select=(check,))).results

    assert (one.outcome.value, "none is Python" in (one.reason or "")) == ("not-applicable", True)
