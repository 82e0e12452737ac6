"""`pytest --kiqdoctor`: each static check is a test; what could not be judged is skipped, and never passes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from doctoring import SECRETS
from project import TITLE, project


def run(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environ = {name: value for name, value in os.environ.items() if name not in SECRETS and "PYTEST" not in name}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)


def outcomes(ran: "subprocess.CompletedProcess[str]") -> dict[str, str]:
    return dict(re.findall(r"^kiqdoctor::(\w+)\S* (PASSED|FAILED|SKIPPED)", ran.stdout, re.MULTILINE))


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    return project(tmp_path, {"test_own.py": "def test_own(): ...\n", "pytest.ini": "[pytest]\n"})


def test_a_finding_fails_its_check_s_test_and_says_all(faulty: Path) -> None:
    ran = run(faulty, "-v", "--kiqdoctor")

    assert ran.returncode == 1
    assert outcomes(ran)["PKG001"] == "FAILED"
    assert outcomes(ran)["examination"] == "PASSED"
    assert f"HIGH {TITLE} (app/jobs/upload.rb:4)\n  package: right_aws 3.1.0\n" in ran.stdout
    assert "test_own.py::test_own PASSED" in ran.stdout
    assert "Traceback" not in ran.stdout


def test_its_healthy_twin_passes(tmp_path: Path) -> None:
    ran = run(project(tmp_path, sound=True), "-v", "--kiqdoctor")

    assert ran.returncode == 0, ran.stdout
    assert outcomes(ran)["PKG001"] == "PASSED"


def test_what_could_not_be_judged_is_skipped_with_its_reason(faulty: Path) -> None:
    (faulty / "Procfile").write_text("worker: bundle exec sidekiq -c 10\n")

    ran = run(faulty, "-v", "-rs", "--kiqdoctor", "-k", "RED003")

    assert outcomes(ran) == {"RED003": "SKIPPED"}
    assert re.search(r"unknown: .*--redis-limit", ran.stdout)


def test_without_the_option_nothing_is_examined(faulty: Path) -> None:
    ran = run(faulty, "-v")

    assert (ran.returncode, outcomes(ran)) == (0, {})


def test_what_does_not_count_fails_nothing(faulty: Path) -> None:
    assert run(faulty, "--kiqdoctor", "--kiqdoctor-fail-on", "critical").returncode == 0
    assert run(faulty, "--kiqdoctor", "--kiqdoctor-options", "--ignore PKG001").returncode == 0


def test_an_examination_of_nothing_fails(tmp_path: Path) -> None:
    ran = run(tmp_path, "-v", "--kiqdoctor", "--rootdir", str(tmp_path), "--kiqdoctor-options", "--select RED003")

    assert outcomes(ran) == {"RED003": "SKIPPED", "examination": "FAILED"}
    assert ran.returncode == 1


def test_wrong_options_are_one_clear_failure(faulty: Path) -> None:
    ran = run(faulty, "--kiqdoctor", "-k", "examination", "--kiqdoctor-options", "--select NIL999")

    assert ran.returncode == 1
    assert "no check has the id, prefix, name or category 'NIL999'" in ran.stdout
