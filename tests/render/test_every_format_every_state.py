"""Every format against every state: the exit status and what is said follow from the results, by one pure table."""

import json
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from formats import reader
from healthy import HEALTHY
from healthy.moment import NOW

from kiqdoctor import __version__
from kiqdoctor.cli import run
from kiqdoctor.clock import SYSTEM
from kiqdoctor.doctor import baseline
from kiqdoctor.doctor.examine import examine
from kiqdoctor.doctor.facts.redis import Connection
from kiqdoctor.doctor.gate import ExitStatus, exit_status
from kiqdoctor.doctor.pack import load
from kiqdoctor.doctor.recording import Recording, dump
from kiqdoctor.doctor.report import Cost, Report, Severity, Target
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.render.formats import NAMES
from kiqdoctor.render.words import summary

CHECKS = '''"""A state."""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, NotApplicable, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.redis import Server


@check("STA000", severity=Severity.HIGH)
def nothing_found(server: Server) -> Iterator[Verdict]:
    yield Evidence("maxclients", str(server.number("maxclients")), "INFO clients")


@check("STA001", severity=Severity.CRITICAL)
def critical(server: Server) -> Iterator[Verdict]:
    yield Finding("redis", "It is critical", "Mend it.", (Evidence("a", "b"),))


@check("STA002", severity=Severity.HIGH)
def high(server: Server) -> Iterator[Verdict]:
    yield Finding("redis", "It is high", "Mend it.")


@check("STA003", severity=Severity.MEDIUM)
def medium(server: Server) -> Iterator[Verdict]:
    yield Finding("redis", "It is medium", "Mend it.")


@check("STA004", severity=Severity.LOW)
def low(server: Server) -> Iterator[Verdict]:
    yield Finding("redis", "It is low", "Mend it.")


@check("STA005", severity=Severity.INFO)
def info(server: Server) -> Iterator[Verdict]:
    yield Finding("redis", "It is told", "")


@check("STA006", severity=Severity.HIGH)
def unknown(server: Server) -> Iterator[Verdict]:
    yield Unknown("NOPERM", "+info")


@check("STA007", severity=Severity.HIGH)
def not_applicable(server: Server) -> Iterator[Verdict]:
    yield NotApplicable("there is none")


@check("STA008", severity=Severity.CRITICAL, preview=True)
def preview(server: Server) -> Iterator[Verdict]:
    yield Finding("redis", "It may be critical", "Look at it.")


@check("STA009", severity=Severity.CRITICAL)
def crashing(server: Server) -> Iterator[Verdict]:
    raise RuntimeError("it broke")
    yield
'''
MORE_THAN_A_PIPE_HOLDS = 2**20
REFUSED = Connection("redis://redis-1:6379/0", "tcp", "connection refused", 3, named=True)


@dataclass(frozen=True)
class State:
    """Checks that ran, on a Redis that answered or did not, and what was asked for."""

    name: str
    select: tuple[str, ...]
    fail_on: Severity | None = Severity.HIGH
    require: tuple[str, ...] = ()
    unreachable: bool = False
    known: tuple[str, ...] = ()

    @property
    def snapshot(self) -> Snapshot:
        return HEALTHY.with_(REFUSED) if self.unreachable else HEALTHY


STATES = (
    State("nothing found", ("STA000",)),
    *(State(f"{one.value} found", ("STA000", f"STA00{one.rank + 1}")) for one in Severity),
    *(State(f"fail on {one.value}", ("STA003",), one) for one in Severity),
    State("never fail", ("STA001", "STA002"), None),
    State("every severity", tuple(f"STA00{number}" for number in range(6))),
    State("known", ("STA000", "STA001"), known=("STA001:redis",)),
    State("unknown", ("STA000", "STA006")),
    State("required unknown", ("STA000", "STA006"), require=("STA006",)),
    State("required unknown beside a finding", ("STA001", "STA006"), require=("STA006",)),
    State("required and not applicable", ("STA000", "STA007"), require=("STA007",)),
    State("all unknown", ("STA006", "STA009")),
    State("nothing applies", ("STA007",)),
    State("crashed", ("STA000", "STA009")),
    State("preview", ("STA000", "STA008")),
    State("unreachable", ("STA000", "STA001"), unreachable=True),
    State("unreachable and mild", ("STA004",), unreachable=True),
)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pack")
    (folder / "states").mkdir()
    (folder / "states" / "every.py").write_text(CHECKS)
    return folder


def examined(state: State, pack: Path) -> Report:
    """What the engine and the pure table make of a state, with no command line and no format."""
    checks = [check for check in load((pack,)) if check.id in state.select]
    results = baseline.suppress(examine(checks, state.snapshot, SYSTEM), frozenset(state.known))
    status = exit_status(results, fail_on=state.fail_on, required=state.require, unreachable=state.unreachable)
    return Report(__version__, NOW, 0.0, Target(None, None, None), results, int(status))


def words(state: State, pack: Path, home: Path) -> list[str]:
    """The same as a command line."""
    recording = home / "recording.json"
    target = Target("redis://redis-1:6379/0", None, None)
    recording.write_bytes(dump(Recording(state.snapshot, target, NOW, __version__, Cost())))
    found = ["--replay", str(recording), "--checks", str(pack), "--select", ",".join(state.select)]
    found += ["--fail-on", state.fail_on.value if state.fail_on else "never"]
    found += ["--require", ",".join(state.require)] if state.require else []
    if state.known:
        (home / "known.json").write_text(json.dumps({"schema": baseline.SCHEMA, "fingerprints": state.known}))
        found += ["--baseline", str(home / "known.json")]
    return found


def expected(report: Report) -> dict[str, Any]:
    return {
        "status": report.exit_status,
        "summary": summary(report),
        "counts": {one.value: report.findings(one) for one in Severity},
        "red": report.exit_status != 0,
        "complete": report.exit_status != 3,
        "worst": report.exit_status == 1 or bool(report.findings(Severity.CRITICAL) + report.findings(Severity.HIGH)),
    }


forms = pytest.mark.parametrize("form", NAMES)
states = pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)


def test_the_states_reach_every_status_that_a_report_can_have(pack: Path) -> None:
    assert {examined(state, pack).exit_status for state in STATES} == {
        ExitStatus.OK,
        ExitStatus.FINDINGS,
        ExitStatus.INCOMPLETE,
    }


@forms
@states
def test_check(state: State, form: str, pack: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    report = examined(state, pack)

    status = run(["check", *words(state, pack, tmp_path), "--format", form])

    out, err = capfd.readouterr()
    told = list(reader(form).told(out))
    assert status == report.exit_status
    assert told
    for what, said in told:
        assert said == expected(report)[what], what
    assert err == ""


@forms
@states
def test_gate(state: State, form: str, pack: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    report = examined(state, pack)

    status = run(["gate", *words(state, pack, tmp_path), "--format", form, "--output", str(tmp_path / "report")])

    out, err = capfd.readouterr()
    assert status == report.exit_status
    assert (out + err).strip().splitlines()[-1].endswith(summary(report))
    assert dict(reader(form).told((tmp_path / "report").read_text()))


@forms
@pytest.mark.parametrize("command", ["check", "gate"])
@pytest.mark.parametrize(
    "wrong", [("--select", "NOSUCH"), ("--fail-on", "sometimes"), ("--static", "--live"), ("--replay", "/nowhere")]
)
def test_wrong_usage_is_one_line_and_no_report(
    command: str, form: str, wrong: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    status = run([command, *wrong, "--format", form])

    out, err = capfd.readouterr()
    assert status == ExitStatus.USAGE
    assert out == ""
    assert len(err.strip().splitlines()) == 1


@forms
@pytest.mark.parametrize("command", ["check", "gate"])
def test_interrupted_is_one_line_and_no_report(
    command: str, form: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a runner in the background ignores it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    pipe = tmp_path / "recording"
    os.mkfifo(pipe)

    def interrupt() -> None:
        with pipe.open("wb", buffering=0) as out:
            out.write(b" " * MORE_THAN_A_PIPE_HOLDS)  # returns when the command is reading its recording
            signal.pthread_kill(main, signal.SIGINT)

    main = threading.main_thread().ident or 0
    user = threading.Thread(target=interrupt, daemon=True)
    user.start()
    status = run([command, "--replay", str(pipe), "--format", form])
    user.join()

    out, err = capfd.readouterr()
    assert status == ExitStatus.INTERRUPTED
    assert out == ""
    assert err.strip() == "kiqdoctor: interrupted"
