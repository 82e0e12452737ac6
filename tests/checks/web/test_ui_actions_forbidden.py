"""WEB003 on plain facts; on the real UI: tests/interop/test_doctor_on_web_ui.py."""

import msgspec
import pytest
from healthy import HEALTHY
from healthy.web import POST

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.web import WebPost
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.doctor.snapshot import Refused


def judged(**changes: object) -> Result:
    return diagnose("WEB003", HEALTHY.with_(msgspec.structs.replace(POST, **changes)))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"answered": "nginx"}, "nginx answers 403 itself"),
        ({"token": False, "cookie": ""}, "it does not see that they come from its own pages"),
        ({"cookie": "withheld"}, "its session cookie is for https only, and the page is not"),
        ({"cookie": ""}, "its session cookie does not arrive"),
        ({}, "the session does not hold the form's token"),
    ],
)
def test_a_form_that_is_refused(changes: dict[str, object], why: str) -> None:
    [found] = judged(status=403, **{"answered": "the application", **changes}).findings

    assert (found.severity, found.finding.title) == ("medium", f"The web UI refuses its own forms: {why}")


@pytest.mark.parametrize("status", [200, 302, 303])
def test_its_twin_is_taken(status: int) -> None:
    assert judged(status=status).outcome is Outcome.PASS


def test_another_answer_or_none_is_no_pass() -> None:
    assert judged(status=500).outcome is Outcome.UNKNOWN
    refused = HEALTHY.without(WebPost, Refused("it takes one POST", "--web-post"))
    assert "--web-post" in (diagnose("WEB003", refused).reason or "")
