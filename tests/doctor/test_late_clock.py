"""A host whose clock is behind: its records are renewed, so it is not dead; a record that nobody stands behind is."""

from dataclasses import replace

import pytest
from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.moment import NOW

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet, InFlight
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.redis import Client, Clients
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Absent

JOB = InFlight("t1", "default", "a" * 24, "SendMail", NOW - 605)
LATE = replace(
    WORKER, identity="far:1:aa", hostname="far", beat_age_s=600.0, beat=NOW - 600, ttl_s=58, reliable=False,
    in_flight=(JOB,), in_flight_key="work", in_flight_ttl_s=58,
)  # fmt: skip
POP = Client(7, "10.0.0.9:5000", flags="b", command="brpop", age_s=900)


def outcome(check: str, late: object, *clients: Client) -> Outcome:
    seen = HEALTHY.without(LocalProcesses, Absent("another host"))
    return diagnose(check, seen.with_(Fleet((late,), 1), Clients(clients))).outcome  # type: ignore[arg-type]


@pytest.mark.parametrize("check", ["PRO001", "PRO008"])
def test_a_late_clock_is_no_death(check: str) -> None:
    assert outcome(check, LATE, POP) is Outcome.UNKNOWN
    assert outcome(check, LATE) is Outcome.FAIL  # nobody pops: the record alone proves no life
    assert outcome(check, LATE, replace(POP, database=5)) is Outcome.FAIL
    assert outcome(check, replace(LATE, beat_age_s=61.0, ttl_s=1), POP) is Outcome.FAIL
    assert outcome(check, replace(LATE, ttl_s=None), POP) is Outcome.FAIL
