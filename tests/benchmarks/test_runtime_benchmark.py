import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.contenders import FLOOR, OURS
from benchmarks.measuring import NoResultError, drain

pytestmark = pytest.mark.long

RUNTIME = Path(__file__).parent / "runtime.py"


def test_a_quick_run_counts_every_job_once(tmp_path: Path) -> None:
    lines = tmp_path / "lines.json"
    words = ["--quick", "--rounds", "1", "--only", "kiqdoctor,floor", "--workload", "noop", "--json", str(lines)]
    ran = subprocess.run([sys.executable, str(RUNTIME), *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    results = [json.loads(line) for line in lines.read_text().splitlines()]
    assert {(one["contender"], one["failure"]) for one in results} == {("kiqdoctor", ""), ("floor", "")}
    assert all(one["figures"]["rate"] > 0 for one in results)
    assert "drain: ours / floor" in ran.stdout


def test_a_wrong_count_is_no_result() -> None:
    doubled = "import time; from benchmarks.peers.work import noop; [noop(0) for _ in range(11)]; time.sleep(60)"
    twice = replace(FLOOR, worker=(sys.executable, "-c", doubled))
    with pytest.raises(NoResultError, match="11 executions of 10 jobs"):
        drain(twice, "Noop", 10, {})


def test_a_worker_that_dies_is_no_result_and_its_words_are_kept() -> None:
    dies = replace(FLOOR, worker=(sys.executable, "-c", "raise SystemExit('gone')"))
    with pytest.raises(NoResultError, match=r"0 of 10 jobs were run; its last words: 'gone'"):
        drain(dies, "Noop", 10, {})


def test_what_is_not_installed_is_told_apart() -> None:
    assert replace(OURS, packages=("a-distribution-that-nobody-has",)).versions() is None
    assert OURS.versions()
