"""PRO004: who waits for jobs, and who is known to."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.host import LOCAL
from healthy.keyspace import INSTALLATION
from healthy.moment import NOW
from servers import RedisServer
from states import beat

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import Inheritance, LocalProcess, LocalProcesses, Owner
from kiqdoctor.doctor.facts.keyspace import Foreign, Keyspace
from kiqdoctor.doctor.facts.redis import Client, Clients
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Absent

KNOWN = replace(INSTALLATION, threads=5, identities=("web-1:4711:aabbccddeeff",))
BASE = HEALTHY.with_(Keyspace((KNOWN,), scanned=9, total=9)).without(LocalProcesses, Absent("elsewhere"))


def waiting(count: int, host: str = "10.0.0.9", **changes: object) -> Clients:
    one = Client(1, "", age_s=600, flags="b", command="brpop")
    return Clients(
        tuple(replace(one, id=n, address=f"{host}:{4000 + n}", **changes) for n in range(count))  # type: ignore[arg-type]
    )


def test_as_many_as_there_are_threads() -> None:
    assert diagnose("PRO004", BASE.with_(waiting(5))).outcome is Outcome.PASS


def test_more_than_there_are_threads() -> None:
    [finding] = diagnose("PRO004", BASE.with_(waiting(8))).findings

    assert finding.severity == "high"
    assert "8 clients wait for jobs, but the live processes have 5 threads" in finding.finding.title


def test_a_host_whose_clock_is_behind_has_threads_that_nobody_counts() -> None:
    late = replace(WORKER, identity="far:1:aa", hostname="far", beat_age_s=600.0, beat=NOW - 600, ttl_s=58)
    fleet = Fleet((late,), 1)

    assert diagnose("PRO004", BASE.with_(waiting(8), fleet)).outcome is Outcome.UNKNOWN
    assert diagnose("PRO004", BASE.with_(waiting(8), replace(fleet, processes=(replace(late, ttl_s=None),)))).findings


def test_a_process_may_be_called_anything() -> None:
    odd = replace(KNOWN, identities=("", "x", "x:1", ":::", "a:b:c:d"))
    held = Inheritance(owners=(Owner("10.0.0.9:4000", pids=(7,), parent=1, program="ruby", age_s=600),))

    seen = diagnose("PRO004", HEALTHY.with_(Keyspace((odd,), scanned=9, total=9), waiting(4), LOCAL, held))

    assert not (seen.reason or "").startswith("crashed")


def test_more_at_both_ends_of_a_window_is_critical() -> None:
    assert diagnose("PRO004", BASE.over(10, waiting(8), waiting(8))).findings[0].severity == "critical"


def test_who_waits_at_one_end_only_is_less_sure() -> None:
    [later] = diagnose("PRO004", BASE.over(10, waiting(0), waiting(8))).findings

    assert later.severity == "high"
    assert diagnose("PRO004", BASE.over(10, waiting(8), waiting(0))).outcome is Outcome.PASS


def test_what_is_no_blocked_pop_here_does_not_count() -> None:
    for clients in (
        waiting(8, flags="N"),
        waiting(8, database=3),
        waiting(8, command="subscribe"),
    ):
        assert diagnose("PRO004", BASE.with_(clients)).outcome is Outcome.PASS


def test_two_hosts_wait_and_one_has_a_process() -> None:
    both = Clients((*waiting(2).all, *waiting(2, "10.0.0.66").all))

    assert diagnose("PRO004", BASE.with_(both)).findings[0].finding.key == "more-hosts"


def test_a_worker_of_this_host_that_is_registered_nowhere() -> None:
    hidden = replace(LOCAL, pid=99, namespace_pids=(99,), sockets=(("10.0.0.9:4000", "10.0.0.2:6379"),))
    snapshot = BASE.with_(waiting(2), LocalProcesses("web-1", (hidden,)))

    [finding] = diagnose("PRO004", snapshot).findings

    assert finding.severity == "critical"
    assert "pid 99" in finding.finding.title
    registered = replace(hidden, pid=4711, namespace_pids=(4711,))
    assert diagnose("PRO004", snapshot.with_(LocalProcesses("web-1", (registered,)))).outcome is Outcome.PASS


def test_a_worker_of_another_redis_may_have_the_same_local_port() -> None:
    elsewhere = replace(LOCAL, pid=99, namespace_pids=(99,), sockets=(("127.0.0.1:4000", "127.0.0.1:6380"),))
    seen = waiting(1, "127.0.0.1", server="127.0.0.1:6379")

    assert diagnose("PRO004", BASE.with_(seen, LocalProcesses("web-1", (elsewhere,)))).outcome is Outcome.PASS
    here = replace(elsewhere, sockets=(("127.0.0.1:4000", "127.0.0.1:6379"),))
    assert diagnose("PRO004", BASE.with_(seen, LocalProcesses("web-1", (here,)))).findings


def test_other_software_that_pops_settles_nothing() -> None:
    huey = Keyspace((KNOWN,), (Foreign("Huey", "", ("a", "b")),), 9, 9)

    assert diagnose("PRO004", BASE.with_(waiting(8), huey)).outcome is Outcome.UNKNOWN


def test_who_has_a_name_beside_others_without_one_may_be_other_software() -> None:
    def beside(named: int, name: str) -> Outcome:
        both = Clients((*waiting(5).all, *waiting(named, name=name).all))
        return diagnose("PRO004", BASE.with_(both)).outcome

    assert beside(3, "huey-consumer") is Outcome.UNKNOWN
    assert beside(3, "") is Outcome.FAIL
    assert beside(3, "kiq:fetch:web-2:7") is Outcome.FAIL
    assert diagnose("PRO004", BASE.with_(waiting(8, name="all-alike"))).outcome is Outcome.FAIL


def test_nobody_waits_and_nobody_is_there() -> None:
    assert diagnose("PRO004", BASE.with_(Clients(), Keyspace())).outcome is Outcome.PASS
    assert diagnose("PRO004", BASE.with_(waiting(1), Keyspace())).outcome is Outcome.UNKNOWN


def test_clients_that_are_younger_than_a_beat_settle_nothing_yet() -> None:
    found = diagnose("PRO004", BASE.with_(waiting(8, age_s=5)))

    assert found.outcome is Outcome.UNKNOWN
    assert "look again in 15 s" in (found.reason or "")


def test_a_host_that_shows_only_our_own_processes_proves_nothing() -> None:
    veiled = LocalProcesses("web-1", (), partial="hidepid")

    assert diagnose("PRO004", HEALTHY.with_(veiled)).outcome is Outcome.UNKNOWN


KNOWN_QUEUES = replace(KNOWN, queues=(("default", 0), ("low", 0)))
QUEUES = BASE.with_(Keyspace((KNOWN_QUEUES,), scanned=9, total=9))
POPS_DEFAULT = len("brpopqueue:default2")


def owner(pid: int, number: int = 0, parent: int = 1) -> Owner:
    return Owner(f"10.0.0.9:{4000 + number}", (pid,), parent, "/usr/bin/python3", 600.0)


@pytest.mark.parametrize(("words", "outcome"), [
    (POPS_DEFAULT, Outcome.FAIL),
    (len("brpop" "queue:low" "queue:default" "30"), Outcome.FAIL),
    (len("brpop" "events" "0"), Outcome.PASS),
    (len("brpop" "a_list_of_the_application" "0"), Outcome.UNKNOWN),
])  # fmt: skip
def test_a_pop_of_other_lists_is_told_by_its_length(words: int, outcome: Outcome) -> None:
    assert diagnose("PRO004", QUEUES.with_(waiting(8, argument_bytes=words))).outcome is outcome


def test_a_process_of_this_host_that_is_registered_nowhere_is_named() -> None:
    seen = QUEUES.with_(
        waiting(1, argument_bytes=POPS_DEFAULT), LocalProcesses("web-1"), Inheritance(owners=(owner(99),))
    )

    [finding] = diagnose("PRO004", seen).findings
    assert (finding.severity, finding.finding.key) == ("high", "stranger")
    assert "pid 99" in finding.finding.title


@pytest.mark.parametrize(("words", "outcome"), [
    ("queue:low 0", Outcome.FAIL),
    ("queue:default queue:low 2", Outcome.FAIL),
    ("queue:default 600", Outcome.UNKNOWN),
    ("orders:incoming 0", Outcome.UNKNOWN),
    ("orders:incoming:today 0", Outcome.PASS),
])  # fmt: skip
def test_a_stranger_is_accused_only_where_it_pops_just_as_a_worker_does(words: str, outcome: Outcome) -> None:
    known = replace(KNOWN_QUEUES, process_queues=("default", "low"))
    length = len("brpop" + words.replace(" ", ""))
    seen = QUEUES.with_(
        Keyspace((known,), scanned=9, total=9),
        *(waiting(1, argument_bytes=length), LocalProcesses("web-1"), Inheritance(owners=(owner(99),))),
    )

    assert diagnose("PRO004", seen).outcome is outcome


@pytest.mark.parametrize("twin", [
    Inheritance(owners=(owner(4711),)),
    Inheritance(owners=(owner(99, parent=4711),)),
    Inheritance(owners=(owner(99), owner(4711))),
    Inheritance(owners=(Owner("10.0.0.9:4000", (99, 4711), 1, "", 600.0),)),
    Inheritance(),
])  # fmt: skip
def test_its_twin_is_registered_or_of_one_that_is(twin: Inheritance) -> None:
    seen = QUEUES.with_(waiting(1, argument_bytes=POPS_DEFAULT), LocalProcesses("web-1"), twin)

    assert diagnose("PRO004", seen).outcome is Outcome.PASS


def test_where_the_server_does_not_tell_how_long_it_is_a_single_one_is_not_accused() -> None:
    seen = QUEUES.with_(waiting(1), LocalProcesses("web-1"), Inheritance(owners=(owner(99),)))

    assert diagnose("PRO004", seen).outcome is Outcome.PASS


RELAY = Owner("127.0.0.1:4000", (99,), 1, "/usr/bin/stunnel", 600.0, ports=("6380",), others=True)
TUNNEL = Owner("127.0.0.1:4000", (99,), 1, "/usr/sbin/sshd", 600.0, others=True)
BARE = Owner("127.0.0.1:4000", (99,), 1, "/usr/bin/redis-cli", 600.0)
THROUGH = replace(LOCAL, sockets=(("127.0.0.1:5000", "127.0.0.1:6380"),))


@pytest.mark.parametrize(("owner", "workers", "outcome"), [
    (RELAY, (THROUGH,), Outcome.PASS),
    (RELAY, (), Outcome.UNKNOWN),
    (TUNNEL, (), Outcome.UNKNOWN),
    (BARE, (), Outcome.FAIL),
    (TUNNEL, (replace(LOCAL, sockets=(("127.0.0.1:4001", "127.0.0.1:6379"),)),), Outcome.FAIL),
])  # fmt: skip
def test_who_may_pass_on_what_a_worker_asks_for_is_not_accused(
    owner: Owner, workers: tuple[LocalProcess, ...], outcome: Outcome
) -> None:
    """A proxy beside the worker, a tunnel from another host; beside a worker that has connections it is a stranger."""
    seen = QUEUES.with_(
        waiting(2, "127.0.0.1", argument_bytes=POPS_DEFAULT),
        LocalProcesses("web-1", workers),
        Inheritance(owners=(owner,)),
    )

    assert diagnose("PRO004", seen).outcome is outcome


def test_a_record_whose_beat_looks_old_is_registered_all_the_same(
    redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path
) -> None:
    """As that of a host whose clock is behind: it is no stranger, whatever pops there."""
    beat(redis, "late-host:71:0123456789ab", age=600)
    redis.sadd("processes", "gone-host:72:0123456789ab")
    file = tmp_path / "seen.json"

    check(redis_server.url, "--select", "PRO004", "--record", str(file))

    [told] = _identities(json.loads(file.read_text("utf-8")))
    assert told == ["late-host:71:0123456789ab"]


def _identities(recorded: object) -> list[object]:
    """What is called so anywhere in a recording."""
    if isinstance(recorded, dict):
        own = [recorded["identities"]] if recorded.get("identities") else []
        return own + [each for one in recorded.values() for each in _identities(one)]
    return [each for one in recorded for each in _identities(one)] if isinstance(recorded, list) else []
