"""THR006: by the names of threads, by our runtime's own report, and over time."""

from dataclasses import replace

import pytest
from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.host import LOCAL

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot

OLD = (("ruby", 2), ("heartbeat", 1), ("scheduler", 1))
NEW = (("ruby", 2), ("sidekiq.heartbe", 1), ("sidekiq.schedul", 1))


def threads(*names: tuple[str, int], **changes: object) -> LocalProcess:
    return replace(LOCAL, threads=names, thread_count=sum(count for _, count in names), **changes)  # type: ignore[arg-type]


def seen(worker: LocalProcess, apart_s: float = 0.0, readings: int = 1) -> Snapshot:
    return HEALTHY.over(apart_s, *[LocalProcesses("web-1", (worker,))] * readings)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ((*OLD, ("processor", 5)), 5), ((*OLD, ("processor", 3)), 3), (OLD, 0),
        ((*NEW, ("sidekiq.default", 5)), 5), ((*NEW, ("sidekiq.default", 2), ("sidekiq.x/proce", 2)), 4),
        ((("ruby", 2), ("default/process", 4), ("heartbeat", 1)), 4),
    ],
)  # fmt: skip
def test_processors_are_counted_by_their_names(names: tuple[tuple[str, int], ...], found: int) -> None:
    worker = threads(*names)

    assert diagnose("THR006", seen(worker)).outcome is (Outcome.PASS if found >= 5 else Outcome.UNKNOWN)
    later = diagnose("THR006", seen(worker, 30, 2))
    assert later.outcome is (Outcome.PASS if found >= 5 else Outcome.FAIL)
    if found < 5:
        assert f"has {found} of its 5 processors" in later.findings[0].finding.title


def test_one_that_is_replaced_at_once_is_healthy() -> None:
    fewer, all_of_them = (LocalProcesses("web-1", (threads(*OLD, ("processor", count)),)) for count in (4, 5))

    assert diagnose("THR006", HEALTHY.over(30, fewer, all_of_them)).outcome is Outcome.PASS
    assert diagnose("THR006", HEALTHY.over(30, all_of_them, fewer)).outcome is Outcome.PASS


def test_who_is_quiet_has_no_processors() -> None:
    quiet = seen(threads(*OLD), 30, 2)

    assert diagnose("THR006", quiet.with_(Fleet((replace(WORKER, quiet=True),), 1))).outcome is Outcome.PASS


def test_who_has_just_started_is_unknown() -> None:
    born = Fleet((replace(WORKER, started_at=WORKER.beat),), 1)

    assert diagnose("THR006", seen(threads(*OLD), 30, 2).with_(born)).outcome is Outcome.UNKNOWN


def test_our_runtime_tells_its_own() -> None:
    ours = replace(WORKER, runtime="kiqdoctor", processors=3)
    nameless = LocalProcesses("web-1", (threads(("python3", 20), kind="kiqdoctor"),))

    def told(*counts: int) -> Snapshot:
        fleets = [Fleet((replace(ours, processors=count),), 1) for count in counts]
        return HEALTHY.with_(nameless).over(30, *fleets)

    assert diagnose("THR006", told(3, 3)).outcome is Outcome.FAIL
    assert diagnose("THR006", told(3)).outcome is Outcome.UNKNOWN
    assert diagnose("THR006", told(5, 5)).outcome is Outcome.PASS
    assert diagnose("THR006", HEALTHY.with_(nameless)).outcome is Outcome.UNKNOWN


def test_far_more_than_it_needs() -> None:
    leaking = threads(*OLD, ("processor", 5), ("worker.rb:7", 90))

    [finding] = diagnose("THR006", seen(leaking)).findings

    assert finding.severity == "medium"
    assert "99 threads, where 16 are enough" in finding.finding.title
    pooled = threads(*OLD, ("processor", 5), ("grpc_global_tim", 90))
    assert diagnose("THR006", seen(pooled)).outcome is Outcome.PASS


def test_a_few_more_grow_or_stay() -> None:
    def some(more: int) -> LocalProcesses:
        return LocalProcesses("web-1", (threads(*OLD, ("processor", 5), ("worker.rb:7", more)),))

    assert diagnose("THR006", HEALTHY.with_(some(40))).outcome is Outcome.UNKNOWN
    assert diagnose("THR006", HEALTHY.with_(some(20))).outcome is Outcome.PASS
    assert diagnose("THR006", HEALTHY.over(900, some(1), some(20), some(40))).outcome is Outcome.FAIL
    assert diagnose("THR006", HEALTHY.over(900, some(20), some(20), some(20))).outcome is Outcome.PASS
