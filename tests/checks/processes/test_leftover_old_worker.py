"""PRO003: signs of an old deploy, and what looks like one."""

from dataclasses import replace

import pytest
from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.host import LOCAL
from healthy.moment import NOW

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses
from kiqdoctor.doctor.facts.queues import Marks
from kiqdoctor.doctor.facts.redis import Client, Clients, Connection
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot

OLD = replace(LOCAL, release="/srv/shop/releases/1", cwd="/srv/shop/releases/1")


def here(*workers: LocalProcess) -> Snapshot:
    return HEALTHY.with_(LocalProcesses("web-1", workers))


def test_another_release_than_current() -> None:
    [finding] = diagnose("PRO003", here(OLD)).findings

    assert finding.severity == "high"
    assert "runs an old deploy's code" in finding.finding.title


def test_a_registered_worker_is_named_as_it_registered() -> None:
    [finding] = diagnose("PRO003", here(OLD).with_(Fleet((WORKER,), 1))).findings
    assert finding.finding.subject == WORKER.subject
    assert "4711" not in finding.fingerprint

    [finding] = diagnose("PRO003", here(OLD).with_(Fleet())).findings
    assert finding.finding.subject == f"process:{OLD.tag}"


def test_a_deleted_directory_and_a_newer_worker_are_two_signs() -> None:
    gone = replace(OLD, cwd_deleted=True, release="", current_release="")
    newer = replace(LOCAL, pid=5000, namespace_pids=(5000,), started_at=LOCAL.started_at + 60)

    assert diagnose("PRO003", here(gone)).findings[0].severity == "high"
    assert diagnose("PRO003", here(gone, newer)).findings[0].severity == "critical"


def test_one_that_drains_is_information() -> None:
    assert diagnose("PRO003", here(replace(OLD, stopping=True))).findings[0].severity == "info"
    quiet = here(OLD).with_(Fleet((replace(WORKER, quiet=True),), 1))
    assert diagnose("PRO003", quiet).findings[0].severity == "info"


def test_started_by_hand_beside_a_service() -> None:
    service = replace(LOCAL, cgroup="/system.slice/sidekiq.service")
    by_hand = replace(LOCAL, pid=9, namespace_pids=(9,), cgroup="/user.slice/user-1000.slice/session-3.scope")

    assert diagnose("PRO003", here(service, by_hand)).findings[0].severity == "high"
    assert diagnose("PRO003", here(by_hand)).outcome is Outcome.PASS
    other = replace(by_hand, tag="another application")
    assert diagnose("PRO003", here(service, other)).outcome is Outcome.PASS


def test_what_an_upgrade_replaced_is_low() -> None:
    assert diagnose("PRO003", here(replace(LOCAL, exe_deleted=True))).findings[0].severity == "low"
    library = replace(LOCAL, deleted_libraries=("/usr/lib/libssl.so.3",))
    assert diagnose("PRO003", here(library)).findings[0].severity == "low"


def test_another_user_s_worker_is_unknown() -> None:
    assert diagnose("PRO003", here(replace(LOCAL, cwd=None, release="", current_release=""))).outcome is Outcome.UNKNOWN


def remote(version: str, number: int, started_at: float = NOW - 7200) -> Process:
    return replace(WORKER, identity=f"h{number}:1:aa", hostname=f"h{number}", version=version, started_at=started_at)


@pytest.mark.parametrize(
    ("versions", "outcome"),
    [
        (["7.3.9", "7.3.9", "7.2.0"], Outcome.FAIL),
        (["7.3.9", "7.3.9", "8.0.0"], Outcome.PASS),
        (["7.3.9", "7.2.0"], Outcome.PASS),
        (["7.3.9", "7.3.9", "7.3.9"], Outcome.PASS),
    ],
)
def test_an_older_minority(versions: list[str], outcome: Outcome) -> None:
    fleet = Fleet(tuple(remote(version, number) for number, version in enumerate(versions)), len(versions))

    assert diagnose("PRO003", HEALTHY.with_(fleet)).outcome is outcome


def test_a_deploy_that_is_going_on() -> None:
    processes = [remote("7.3.9", 1, NOW - 60), remote("7.3.9", 2, NOW - 60), remote("7.2.0", 3)]

    assert diagnose("PRO003", HEALTHY.with_(Fleet(tuple(processes), 3))).outcome is Outcome.PASS


def marked(*processes: Process, ago: float = 3600) -> Snapshot:
    return here().with_(Fleet(processes, len(processes)), Marks(((NOW - ago, "a1b2c3d"),), 30))


def test_one_elsewhere_was_started_before_the_last_deploy() -> None:
    [found] = diagnose("PRO003", marked(remote("8.1.7", 1), remote("8.1.7", 2, NOW - 3000))).findings

    assert (found.severity, found.finding.subject) == ("high", remote("8.1.7", 1).subject)
    assert "before the last deploy" in found.finding.title


@pytest.mark.parametrize(
    "twin",
    [
        marked(remote("8.1.7", 1, NOW - 3000)),
        marked(remote("8.1.7", 1, NOW - 3700)),
        marked(remote("8.1.7", 1), ago=600),
        marked(remote("8.1.7", 1), replace(remote("8.1.7", 2, NOW - 3000), tag="other")),
    ],
)
def test_its_twins_are_newer_or_not_of_that_deploy(twin: Snapshot) -> None:
    assert not diagnose("PRO003", twin).findings


GONE = replace(OLD, pid=9, namespace_pids=(9,), cwd_deleted=True, settings=())
ELSEWHERE = (("10.0.0.1:5000", "10.0.0.77:6379"),)


@pytest.mark.parametrize(
    ("worker", "outcome"),
    [
        (GONE, Outcome.FAIL),
        (replace(GONE, sockets=()), Outcome.PASS),
        (replace(GONE, sockets=(), redis=("REDIS_URL=redis://10.0.0.2:6379/0",)), Outcome.PASS),
        (replace(GONE, redis=("REDIS_URL=redis://10.0.0.2:6379/3",)), Outcome.PASS),
        (replace(GONE, sockets=ELSEWHERE), Outcome.UNKNOWN),
        (replace(LOCAL, pid=9, namespace_pids=(9,), sockets=ELSEWHERE), Outcome.PASS),
    ],
    ids=[
        "connected",
        "no connection",
        "only its environment",
        "another database",
        "to somebody else",
        "of this release",
    ],
)
def test_nobody_is_accused_by_a_title_alone(worker: LocalProcess, outcome: Outcome) -> None:
    there = Connection("redis://10.0.0.2:6379/0")

    assert diagnose("PRO003", here(worker).with_(there, Clients())).outcome is outcome


def test_who_works_in_another_database_is_another_application_s() -> None:
    client = Client(1, "10.0.0.1:5000", database=3)
    seen = here(GONE).with_(Connection("redis://10.0.0.2:6379/0"), Clients((client,)))

    assert diagnose("PRO003", seen).outcome is Outcome.PASS
    assert diagnose("PRO003", seen.with_(Clients((replace(client, database=0),)))).outcome is Outcome.FAIL
