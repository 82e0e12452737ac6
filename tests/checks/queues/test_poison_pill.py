"""QUE013: whoever takes it, dies."""

from dataclasses import replace

from healthy import HEALTHY
from healthy.fleet import WORKER
from jobs import job, sampled

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet, InFlight, Process, Recoveries
from kiqdoctor.doctor.facts.queues import Place
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.wire.recovery import RecoveryEntry


def running(number: int, jid: str, job_class: str = "Resize") -> Process:
    flying = (InFlight("t1", "default", jid, job_class, 1.0),)
    return replace(WORKER, identity=f"web-{number}:1:aa", in_flight=flying, beat=float(number))


def deaths(*dying: Process, living: tuple[Process, ...] = ()) -> Snapshot:
    """Each was seen at work, and is a ghost at the end."""
    ghosts = tuple(replace(one, exists=False, in_flight=(), beat_age_s=None) for one in dying)
    first, last = (*dying, *living), (*ghosts, *living)
    return HEALTHY.over(60.0, Fleet(first, len(first)), Fleet(last, len(last)))


def test_the_payload_counts_its_deaths() -> None:
    [found] = diagnose("QUE013", sampled(Place("queue:a", 1, (job(1, deaths=2),)))).findings

    assert (found.severity, found.finding.subject) == ("high", "job:SendMail")
    assert not diagnose("QUE013", sampled(Place("queue:a", 1, (job(1, deaths=1),)))).findings


def test_what_runs_counts_its_deaths_too() -> None:
    def seen(count: int) -> Snapshot:
        held = replace(running(1, "a"), in_flight=(replace(running(1, "a").in_flight[0], deaths=count),))
        return HEALTHY.with_(Fleet((held,), 1))

    assert [one.severity for one in diagnose("QUE013", seen(2)).findings] == ["high"]
    assert not diagnose("QUE013", seen(1)).findings


def test_one_jid_at_two_deaths() -> None:
    [found] = diagnose("QUE013", deaths(running(1, "a"), running(2, "a"))).findings

    assert found.severity == "high"
    assert not diagnose("QUE013", deaths(running(1, "a"), running(2, "b"))).findings


def test_one_class_at_most_deaths() -> None:
    dying = [running(number, str(number)) for number in range(3)]
    others = tuple(running(number, str(number), "SendMail") for number in range(10, 30))

    assert [one.severity for one in diagnose("QUE013", deaths(*dying, living=others)).findings] == ["medium"]
    alike = tuple(running(number, str(number)) for number in range(10, 30))
    assert not diagnose("QUE013", deaths(*dying, living=alike)).findings


def test_one_death_tells_nothing() -> None:
    assert diagnose("QUE013", deaths(running(1, "a"))).outcome is Outcome.UNKNOWN
    once = Recoveries(1, (RecoveryEntry(1.0, "web-9:1:aa", "web-1:1:bb", 1, 0),))
    assert diagnose("QUE013", HEALTHY.with_(once)).outcome is Outcome.UNKNOWN


def test_no_death_is_a_pass() -> None:
    assert diagnose("QUE013", HEALTHY).outcome is Outcome.PASS
