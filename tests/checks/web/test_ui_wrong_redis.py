"""WEB004 on plain facts; on the real UI: tests/interop/test_doctor_on_web_ui.py."""

import msgspec
import pytest
from healthy import HEALTHY
from healthy.web import COUNTS, ROUND

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.redis import Server
from kiqdoctor.doctor.facts.web import Bracketed, WebCounts
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.doctor.snapshot import Absent, Refused


def round_of(before: int, shown: int, after: int) -> tuple[Bracketed, ...]:
    return (Bracketed("processed", before, shown, after), ROUND[1])


def judged(*rounds: tuple[Bracketed, ...], **changes: object) -> Result:
    return diagnose("WEB004", HEALTHY.with_(msgspec.structs.replace(COUNTS, rounds=rounds, **changes)))


@pytest.mark.parametrize("shown", [0, 1199, 1301])
def test_counters_that_cannot_be_this_redis_s(shown: int) -> None:
    [found] = judged(*[round_of(1200, shown, 1300)] * 3).findings

    assert (found.severity, found.fingerprint) == ("high", "WEB004:web:counters")


def test_its_twins_move_between_the_two_looks() -> None:
    assert judged(round_of(1200, 1200, 1300), round_of(1300, 1350, 1400), round_of(1400, 1500, 1500)).outcome is (
        Outcome.PASS
    )
    once = judged(round_of(1200, 1, 1300), round_of(1300, 1350, 1400), round_of(1400, 1500, 1500))
    assert once.outcome is Outcome.PASS  # a counter that was reset just then


def test_another_version_is_another_server() -> None:
    assert judged(*[ROUND] * 3, redis_version="6.2.14").findings[0].finding.key == "version"
    unread = HEALTHY.with_(msgspec.structs.replace(COUNTS, redis_version="6.2.14")).without(Server, Refused("NOPERM"))
    assert diagnose("WEB004", unread).outcome is Outcome.PASS


def test_nothing_counted_proves_nothing() -> None:
    nothing = (Bracketed("processed", 0, 0, 0), Bracketed("failed", 0, 0, 0))

    assert judged(*[nothing] * 3).outcome is Outcome.UNKNOWN
    assert judged().outcome is Outcome.UNKNOWN
    assert diagnose("WEB004", HEALTHY.without(WebCounts, Refused("401"))).outcome is Outcome.UNKNOWN
    assert diagnose("WEB004", HEALTHY.without(WebCounts, Absent("no --web"))).outcome is Outcome.NOT_APPLICABLE
