"""CFG003: who keeps what it took, and who gets killed."""

from dataclasses import replace

from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.host import GROUP
from healthy.moment import NOW
from msgspec.structs import replace as changed

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet, PrivateLists
from kiqdoctor.doctor.facts.host import MemoryGroups
from kiqdoctor.doctor.facts.native import Crash, Crashes
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused

BASIC = HEALTHY.with_(Fleet((replace(WORKER, reliable=False),), 1))
KILLED = MemoryGroups((changed(GROUP, oom_kills=1),))


def test_basic_fetch_alone_is_told() -> None:
    assert [str(one.severity) for one in diagnose("CFG003", BASIC).findings] == ["info"]
    assert diagnose("CFG003", HEALTHY).outcome is Outcome.PASS


def test_one_and_many_are_told_in_their_own_words() -> None:
    other = replace(WORKER, identity="web-2:1:aaaaaaaaaaaa", reliable=False)
    several = HEALTHY.with_(Fleet((replace(WORKER, reliable=False), other), 2))

    titles = [diagnose("CFG003", one).findings[0].finding.title for one in (BASIC, several)]

    assert titles == [
        "The only process loses what it runs when it is killed",
        "2 of 2 processes lose what they run when they are killed",
    ]


def test_basic_fetch_where_workers_are_killed() -> None:
    crash = Crashes((Crash("log", "Segmentation fault", NOW - 60, owner=4711),))

    assert [str(one.severity) for one in diagnose("CFG003", BASIC.with_(KILLED)).findings] == ["low"]
    assert [str(one.severity) for one in diagnose("CFG003", BASIC.with_(crash)).findings] == ["low"]
    assert diagnose("CFG003", HEALTHY.with_(KILLED, crash)).outcome is Outcome.PASS


def test_a_fetcher_that_may_be_on_is_unknown() -> None:
    locked = Packages((Package("ruby", "sidekiq-pro", "7.3.0", "Gemfile.lock"),))

    assert diagnose("CFG003", BASIC.with_(locked)).outcome is Outcome.UNKNOWN
    assert diagnose("CFG003", BASIC.with_(Fleet())).outcome is Outcome.NOT_APPLICABLE


def test_a_gem_of_another_nonce_keeps_what_it_takes() -> None:
    seat = PrivateLists(seats=(f"{WORKER.hostname}:{WORKER.pid}",))

    assert diagnose("CFG003", BASIC.with_(seat, KILLED)).outcome is Outcome.PASS
    assert diagnose("CFG003", BASIC.with_(PrivateLists(seats=("web-2:1",)))).outcome is Outcome.FAIL


def test_who_keeps_lists_must_have_been_looked_at() -> None:
    unread = BASIC.without(PrivateLists, Refused("it may not call SCAN", "+scan"))

    assert diagnose("CFG003", unread).outcome is Outcome.UNKNOWN
    assert diagnose("CFG003", BASIC.with_(PrivateLists(partial="half of the keys"))).outcome is Outcome.UNKNOWN
