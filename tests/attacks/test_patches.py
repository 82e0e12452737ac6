"""`fix --diff` shows a source letter for letter: what holds a secret, or moves a cursor, is left out and named."""

import subprocess
from pathlib import Path

import pytest
from examining import Doctor
from hypothesis import given
from hypothesis import strategies as st
from trees import tree

from kiqdoctor.examining.codemods import Source
from kiqdoctor.examining.showable import hidden


@pytest.fixture
def doctor(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Doctor:
    return Doctor(tmp_path, capfd)


JOBS = """import requests
from celery import shared_task
{around}


@shared_task
def send(order, token):
    {beside}
    requests.post({argument})
"""
FINE = {"around": "LIMIT = 3", "beside": "order.save()", "argument": '"https://h/x"'}
HOSTILE = {
    "a literal": {"beside": "password = 'q7secretq7'"},
    "a keyword": {"argument": '"https://h/x", json={"api_key": "q7secretq7"}'},
    "an address": {"argument": '"https://u:q7secretq7@h/x"'},
    "a query": {"argument": 'f"https://h/x?token=q7secretq7&o={order}"'},
    "a comment": {"beside": "order.save()  # token: q7secretq7"},
    "a shape": {"argument": '"https://h/x", headers={"A": "ghp_q7secretq7q7secretq7"}'},
    "a terminal's escape": {"beside": "x = '\x1b[2Jq7secretq7'"},
    "a reversal": {"argument": '"https://h/q7secretq7\u202e"'},
    "a CI command": {"beside": "x = 1  # ##vso[task.setvariable variable=q7secretq7]"},
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_may_not_be_shown_is_left_out_and_named(doctor: Doctor, case: str) -> None:
    tree(doctor.folder, {"jobs.py": JOBS.format(**FINE | HOSTILE[case]), "requirements.txt": "celery==5.4.0\n"})
    ran = doctor("fix", "--diff")

    assert "q7secretq7" not in ran.out + ran.err
    assert (ran.status, ran.out) == (0, "")
    assert "jobs.py:9: left out" in ran.err


@pytest.mark.parametrize(
    "fine",
    [
        {},
        {"argument": '"https://h/x", headers={"Authorization": f"Bearer {token}"}, json={"token": token}'},
        {"argument": 'f"https://h/x?token={token}"'},
        {"around": "password = 'q7secretq7'"},  # far enough away: fewer lines around are shown
        {"around": "\f"},  # ends no line, for Python and for git
    ],
)
def test_what_only_names_a_secret_is_mended(doctor: Doctor, fine: dict[str, str]) -> None:
    tree(doctor.folder, {"jobs.py": JOBS.format(**FINE | fine), "requirements.txt": "celery==5.4.0\n"})
    ran = doctor("fix", "--diff")

    assert ran.status == 1, ran.err
    assert "q7secretq7" not in ran.out
    subprocess.run(["git", "apply", "-"], input=ran.out.encode(), cwd=doctor.folder, check=True)
    assert ", timeout=30)" in (doctor.folder / "jobs.py").read_text()
    assert doctor("fix", "--diff").status == 0


@given(st.text(st.sampled_from("ab =\"'#{}\\\n\t\f\r\x1c\u2028()é"), max_size=60))
def test_any_module_can_be_asked(text: str) -> None:
    try:
        source = Source(text)
    except (SyntaxError, ValueError):
        return
    shown = {line.rstrip("\r") for line in text.split("\n")} - hidden(text)
    assert not any("\x1c" in line or "\u2028" in line for line in shown)
    assert not text or source.at(1, 0) == 0
