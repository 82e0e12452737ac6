"""NAT004: whose crash it is, and how long ago."""

from dataclasses import replace

from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.host import LOCAL
from healthy.moment import NOW
from msgspec.structs import replace as changed

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet, InFlight
from kiqdoctor.doctor.facts.host import KernelEvent, KernelLog, LocalProcesses
from kiqdoctor.doctor.facts.native import Crash, Crashes
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused, Snapshot

JOB = InFlight("t1", "default", "a" * 24, "Thumbnail", NOW - 5)
DEAD = replace(WORKER, identity="web-1:99:dead", pid=99, beat=NOW - 20, beat_age_s=20.0, in_flight=(JOB,))
BUG = Crash("/var/log/shop.log", "Segmentation fault at 0x0", NOW - 60, program="ruby", owner=4711)
FAULT = KernelEvent(NOW - 15, "segfault", 104, "ruby", "libvips.so.42")
GONE = LocalProcesses("web-1", (LOCAL,), pids=frozenset({1, 4711}))


def crashed(*crashes: Crash, looked: tuple[str, ...] = ("/var/log/shop.log",)) -> Snapshot:
    return HEALTHY.with_(Crashes(crashes, looked))


def logged(*events: KernelEvent) -> Snapshot:
    return HEALTHY.with_(Fleet((WORKER, DEAD), 2), GONE, KernelLog(events, NOW - 9999))


def test_a_report_in_the_log_that_a_worker_writes() -> None:
    [finding] = diagnose("NAT004", crashed(changed(BUG, library="/usr/lib/libvips.so.42"))).findings

    assert finding.severity == "critical"
    assert finding.finding.title.endswith("crashed in libvips.so.42: Segmentation fault at 0x0")
    assert finding.fingerprint == "NAT004:process:web-1:libvips.so.42"


def test_its_time_is_only_bounded() -> None:
    assert diagnose("NAT004", crashed(changed(BUG, exact=False))).findings[0].severity == "high"


def test_old_crashes_and_those_of_others() -> None:
    assert diagnose("NAT004", crashed(changed(BUG, at=NOW - 90_000))).outcome is Outcome.PASS
    assert diagnose("NAT004", crashed(changed(BUG, owner=1234))).outcome is Outcome.PASS
    assert diagnose("NAT004", crashed(changed(BUG, owner=None, in_tree=True))).outcome is Outcome.FAIL


def test_systemd_keeps_the_core_of_a_registered_process() -> None:
    core = Crash("coredumpctl", "SIGSEGV", NOW - 60, pid=99, program="/usr/bin/ruby3.1")
    dead = crashed(core).with_(Fleet((WORKER, DEAD), 2), GONE)

    [finding] = diagnose("NAT004", dead).findings
    assert finding.finding.subject == "process:web-1:99:dead"
    assert any("Thumbnail" in one.value for one in finding.finding.evidence)
    assert diagnose("NAT004", crashed(core)).outcome is Outcome.UNKNOWN
    assert diagnose("NAT004", crashed(changed(core, program="/usr/bin/chrome"))).outcome is Outcome.PASS


def test_the_kernel_names_a_thread_of_one_that_stopped_beating() -> None:
    [finding] = diagnose("NAT004", logged(FAULT)).findings

    assert finding.finding.title == "web-1:99:dead crashed in libvips.so.42: segfault"
    for other in (
        changed(FAULT, pid=4000),
        changed(FAULT, at=NOW - 300),
        changed(FAULT, name="chrome"),
        changed(FAULT, pid=98),
    ):
        assert diagnose("NAT004", logged(other)).outcome is Outcome.PASS


def test_what_may_not_be_read_is_unknown() -> None:
    refused = HEALTHY.without(KernelLog, Refused("it may not be read", "root"))

    assert diagnose("NAT004", refused).outcome is Outcome.UNKNOWN
    unread = HEALTHY.with_(Crashes(unread=("/var/log/shop.log: Permission denied",)))
    assert diagnose("NAT004", unread).outcome is Outcome.UNKNOWN
    assert diagnose("NAT004", crashed(looked=()).with_(LocalProcesses("web-9"))).outcome is Outcome.UNKNOWN
