"""THR007: a handler, a debugger, or neither."""

from dataclasses import replace

from healthy import HEALTHY
from healthy.host import LOCAL

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.host import Debugging, LocalProcesses
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot

TTIN = 1 << 20


def seen(caught: int | None, debugging: Debugging, kind: str = "sidekiq") -> Snapshot:
    return HEALTHY.with_(LocalProcesses("web-1", (replace(LOCAL, caught=caught, kind=kind),)), debugging)


def test_a_handler_is_enough() -> None:
    assert diagnose("THR007", seen(TTIN, Debugging())).outcome is Outcome.PASS


def test_neither_handler_nor_debugger() -> None:
    [finding] = diagnose("THR007", seen(0, Debugging())).findings

    assert finding.severity == "low"
    assert "none of gdb, rbspy, eu-stack is here" in finding.finding.title
    assert diagnose("THR007", seen(0, Debugging(tools=("gdb",), privileged=True))).outcome is Outcome.PASS


def test_a_web_server_s_ttin_is_not_sidekiq_s() -> None:
    assert diagnose("THR007", seen(TTIN, Debugging(), "sidekiq-embedded")).outcome is Outcome.FAIL


def test_who_may_attach() -> None:
    mine = Debugging(uid=1000, tools=("gdb", "py-spy"))

    assert diagnose("THR007", seen(0, mine)).outcome is Outcome.PASS
    for kept in (Debugging(uid=1001, tools=mine.tools), Debugging(uid=1000, tools=mine.tools, ptrace_scope=1)):
        assert diagnose("THR007", seen(0, kept)).outcome is Outcome.FAIL
    only_python = Debugging(uid=1000, tools=("py-spy",))
    assert diagnose("THR007", seen(0, only_python)).outcome is Outcome.FAIL
    assert diagnose("THR007", seen(0, only_python, "kiqdoctor")).outcome is Outcome.PASS


def test_what_cannot_be_read_is_unknown() -> None:
    assert diagnose("THR007", seen(None, Debugging())).outcome is Outcome.UNKNOWN
    assert diagnose("THR007", HEALTHY.with_(LocalProcesses("web-9"))).outcome is Outcome.UNKNOWN
