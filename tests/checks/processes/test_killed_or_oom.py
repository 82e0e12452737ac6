"""PRO009: who was killed, whose count it is, and what grows."""

from dataclasses import replace

from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.host import GROUP, LOCAL, UNIT
from healthy.moment import NOW
from msgspec.structs import replace as changed

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import KernelEvent, KernelLog, LocalProcesses, MemoryGroup, MemoryGroups, Units
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused, Snapshot

DEAD = replace(WORKER, identity="web-1:99:dead", pid=99, beat=NOW - 40, beat_age_s=40.0)
KILL = KernelEvent(NOW - 40, "oom-kill", 99, "ruby", "", "/system.slice/shop.service")


def grouped(**changes: object) -> Snapshot:
    return HEALTHY.with_(MemoryGroups((changed(GROUP, **changes),)))


def dead(*events: KernelEvent) -> Snapshot:
    gone = LocalProcesses("web-1", (LOCAL,), pids=frozenset({1, 4711}))
    return HEALTHY.with_(Fleet((WORKER, DEAD), 2), gone, KernelLog(events, NOW - 9999))


def test_its_own_cgroup_counts_a_kill() -> None:
    [finding] = diagnose("PRO009", grouped(oom_kills=2)).findings

    assert finding.severity == "high"
    assert "2 processes of the cgroup of web-1:4711:aabbccddeeff were killed" in finding.finding.title
    assert finding.fingerprint == "PRO009:process:web-1:cgroup"


def test_a_cgroup_of_many_tells_nobody() -> None:
    shared = grouped(oom_kills=1, alone=False)

    assert diagnose("PRO009", shared).outcome is Outcome.UNKNOWN
    other = KernelLog((KernelEvent(NOW - 9, "oom-kill", 12345, "chrome", "", GROUP.name),), NOW - 99)
    assert diagnose("PRO009", shared.with_(other)).outcome is Outcome.PASS
    unread = shared.without(KernelLog, Refused("it may not be read", "root"))
    assert diagnose("PRO009", unread).outcome is Outcome.UNKNOWN


def test_the_kernel_names_a_dead_worker() -> None:
    [finding] = diagnose("PRO009", dead(KILL)).findings

    assert "The kernel killed web-1:99:dead" in finding.finding.title
    assert diagnose("PRO009", dead(changed(KILL, pid=98))).outcome is Outcome.PASS
    assert diagnose("PRO009", dead(changed(KILL, at=NOW - 90_000))).outcome is Outcome.PASS
    assert diagnose("PRO009", dead(changed(KILL, kind="segfault"))).outcome is Outcome.PASS


def test_how_its_service_ended() -> None:
    assert diagnose("PRO009", HEALTHY.with_(Units((changed(UNIT, result="oom-kill"),)))).outcome is Outcome.FAIL
    another = changed(UNIT, name="other.service", pid=1, result="oom-kill")
    assert diagnose("PRO009", HEALTHY.with_(Units((another,)))).outcome is Outcome.PASS


def grown(by_mib: int, started_at: float = NOW - 9000) -> Snapshot:
    rss = [500 + by_mib * step // 10 for step in range(11)]
    fleets = [
        Fleet((replace(WORKER, rss_kb=mib * 1024, started_at=started_at, beat=NOW + 60 * step),), 1)
        for step, mib in enumerate(rss)
    ]
    return HEALTHY.over(60, *fleets)


def test_growth_that_reaches_the_limit_within_a_day() -> None:
    [finding] = diagnose("PRO009", grown(50)).findings

    assert finding.severity == "medium"
    assert "grows by 300 MiB an hour" in finding.finding.title
    assert diagnose("PRO009", grown(0)).outcome is Outcome.PASS
    assert diagnose("PRO009", grown(50, started_at=NOW - 60)).outcome is Outcome.PASS


def test_near_its_limit_one_reading_does_not_tell() -> None:
    full = grouped(used_bytes=2**31 - 2**20)

    assert diagnose("PRO009", full).outcome is Outcome.UNKNOWN
    assert "--for 600" in (diagnose("PRO009", full).reason or "")


def test_a_group_that_is_not_to_be_seen_is_unknown() -> None:
    assert diagnose("PRO009", HEALTHY.with_(MemoryGroups((), (4711,)))).outcome is Outcome.UNKNOWN
    assert diagnose("PRO009", HEALTHY.with_(LocalProcesses("web-9"))).outcome is Outcome.UNKNOWN
    assert diagnose("PRO009", HEALTHY.with_(MemoryGroups((MemoryGroup(4711, "/"),)))).outcome is Outcome.PASS
