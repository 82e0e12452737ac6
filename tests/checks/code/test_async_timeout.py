"""COD004: the catalogue's examples in all their ways, and how jobs run."""

from pathlib import Path

import pytest
from judging import accused, in_python, in_ruby, performing
from rewriting import crossed, python, ruby

from kiqdoctor.doctor.report import Outcome

FAULTS = crossed(
    {
        "P1": "import timeout_decorator\n@timeout_decorator.timeout(5)\ndef fetch(): pass\n@job\ndef f(): fetch()\n",
        "P2": (
            "import ctypes\ndef kill_job(tid, exc): ctypes.pythonapi.PyThreadState_SetAsyncExc(tid, exc)\n"
            "@job\ndef f(): kill_job(1, OSError)\n"
        ),
        "P3": "from signal import setitimer as si\nclass J(Job):\n  def perform(self): si(0, 2)\n",
    },
    python,
)
TWINS = crossed(
    {
        "N1": (
            "import timeout_decorator\n@timeout_decorator.timeout(5, use_signals=False)\ndef fetch(): pass\n"
            "@job\ndef f(): fetch()\n"
        ),
        "N2": (
            "import signal\n@job\ndef f(): pass\ndef stop(*a): pass\n"
            "if __name__ == '__main__':\n  signal.signal(signal.SIGTERM, stop)\n"
        ),
        "N3": "import subprocess, asyncio\n@job\ndef f(cmd): subprocess.run(cmd, timeout=30); asyncio.timeout(5)\n",
    },
    python,
)
RUBY_FAULTS = crossed(
    {
        "P1": performing("Timeout::timeout(5) { http.get }"),
        "P2": performing("timeout(5) { x }").replace("  def", "  include Timeout\n  def", 1),
        "P2, in every object": performing("timeout(5) { x }", head="include Timeout\n"),
        "P3": performing(
            "Slow.run(x)",
            head="class Slow\n  def self.run(n)\n    Timeout.timeout(n, IOError) do\n      n\n    end\n  end\nend\n",
        ),
    },
    ruby,
)
RUBY_TWINS = crossed(
    {
        "N1": performing('Net::HTTP.start("h", 80, read_timeout: 5)'),
        "N2": performing("x.go", "rescue Timeout::Error", "x"),
        "N3": performing("Redis.new(timeout: 5)"),
    },
    ruby,
)


@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS)
def test_python_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_python("COD004", tmp_path, text).findings

    assert one.severity == "high"


@pytest.mark.parametrize("text", TWINS.values(), ids=TWINS)
def test_python_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_python("COD004", tmp_path, text))


@pytest.mark.parametrize("text", RUBY_FAULTS.values(), ids=RUBY_FAULTS)
def test_ruby_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_ruby("COD004", tmp_path, text).findings

    assert one.severity == "high"


@pytest.mark.parametrize("text", RUBY_TWINS.values(), ids=RUBY_TWINS)
def test_ruby_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_ruby("COD004", tmp_path, text))


def test_signals_work_where_each_job_has_a_main_thread(tmp_path: Path) -> None:
    text = "import signal\nfrom celery import shared_task\n@shared_task\ndef f(): signal.alarm(5)\n"

    assert not accused(in_python("COD004", tmp_path, text))


def test_the_way_there_is_told(tmp_path: Path) -> None:
    [one] = in_ruby("COD004", tmp_path, RUBY_FAULTS["P3, as written"]).findings

    assert [two.value for two in one.finding.evidence] == ["J#perform", "Slow.run", "Slow.run"]
    assert one.finding.location is not None
    assert (one.finding.location.line, one.finding.location.column) == (3, 5)


@pytest.mark.parametrize(("kind", "outcome"), [("Process", Outcome.PASS), ("Thread", Outcome.FAIL)])
def test_another_process_has_a_main_thread_of_its_own(tmp_path: Path, kind: str, outcome: Outcome) -> None:
    text = (
        "import signal\nfrom multiprocessing import get_context\nfrom threading import Thread\n"
        "Process = get_context('spawn').Process\ndef go(): signal.alarm(5)\n"
        f"@job\ndef f():\n  {kind}(target=go).start()\n"
    )

    assert in_python("COD004", tmp_path, text).outcome is outcome
