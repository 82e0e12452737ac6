"""NAT003: limits, patterns, and faulthandler."""

from dataclasses import replace

import pytest
from healthy import HEALTHY
from healthy.host import LOCAL

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.host import Debugging, LocalProcesses
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot

SEGV = 1 << 10


def seen(limit: int | None, pattern: str, **changes: object) -> Snapshot:
    worker = replace(LOCAL, core_bytes=limit, **changes)  # type: ignore[arg-type]
    return HEALTHY.with_(LocalProcesses("web-1", (worker,)), Debugging(pattern))


@pytest.mark.parametrize(
    ("limit", "pattern", "outcome"),
    [
        (0, "core", Outcome.FAIL),
        (-1, "core", Outcome.PASS),
        (4096, "/var/cores/%p", Outcome.PASS),
        (0, "|/usr/lib/systemd/systemd-coredump %P", Outcome.PASS),
        (-1, "", Outcome.FAIL),
        (None, "core", Outcome.UNKNOWN),
    ],
)
def test_where_a_core_would_go(limit: int | None, pattern: str, outcome: Outcome) -> None:
    found = diagnose("NAT003", seen(limit, pattern))

    assert found.outcome is outcome
    assert [str(one.severity) for one in found.findings] == (["low"] if outcome is Outcome.FAIL else [])


def test_python_needs_faulthandler() -> None:
    assert diagnose("NAT003", seen(-1, "core", kind="kiqdoctor", caught=0)).outcome is Outcome.FAIL
    assert diagnose("NAT003", seen(-1, "core", kind="kiqdoctor", caught=SEGV)).outcome is Outcome.PASS
    assert diagnose("NAT003", seen(-1, "core", kind="sidekiq", caught=0)).outcome is Outcome.PASS


def test_a_worker_elsewhere_is_unknown() -> None:
    assert diagnose("NAT003", HEALTHY.with_(LocalProcesses("web-9"))).outcome is Outcome.UNKNOWN
