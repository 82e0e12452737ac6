"""WEB001 on plain facts; on the real UI: tests/interop/test_doctor_on_web_ui.py."""

import msgspec
import pytest
from healthy import HEALTHY
from healthy.web import DOOR

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.web import WebDoor, WebFiles
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.doctor.snapshot import Absent, Refused


def judged(**changes: object) -> Result:
    return diagnose("WEB001", HEALTHY.with_(msgspec.structs.replace(DOOR, **changes)))


@pytest.mark.parametrize(("address", "severity"), [("10.0.0.9", "critical"), ("::1", "high"), ("127.0.0.1", "high")])
def test_it_is_open(address: str, severity: str) -> None:
    [found] = judged(address=address, status=200, title="Sidekiq", shown=True, counted=True, asked="").findings

    assert (found.severity, found.fingerprint) == (severity, "WEB001:web:open")


@pytest.mark.parametrize("asked", ["status 401", "status 403", "sends to https://login.example.org/"])
def test_it_asks_who_comes(asked: str) -> None:
    assert judged(asked=asked).outcome is Outcome.PASS


def test_counters_alone_are_low() -> None:
    assert judged(counted=True).findings[0].severity == "low"


def test_something_else_is_no_pass() -> None:
    assert judged(status=200, asked="").outcome is Outcome.UNKNOWN
    assert judged(status=404, asked="").outcome is Outcome.UNKNOWN
    assert diagnose("WEB001", HEALTHY.without(WebDoor, Refused("no answer"))).outcome is Outcome.UNKNOWN
    neither = HEALTHY.without(WebDoor, Absent("--web URL")).without(WebFiles, Absent("no application"))
    assert diagnose("WEB001", neither).outcome is Outcome.NOT_APPLICABLE
