"""NSP002: two halves of one installation in two databases."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from doctoring import check
from healthy import HEALTHY
from healthy.host import LOCAL
from healthy.keyspace import INSTALLATION
from servers import RedisServer, eventually

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.host import LocalProcesses, WebProcess
from kiqdoctor.doctor.facts.keyspace import Databases, Installation, Keyspace
from kiqdoctor.doctor.facts.redis import Connection
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot

STRANDED = replace(INSTALLATION, waiting=7, queues=(("default", 7),), processes=0, live=0, process_queues=(),
                   processed=False)  # fmt: skip
IDLE = replace(INSTALLATION, database=1, waiting=0, queues=(("default", 0),))


def state(here: Installation, there: Installation) -> Snapshot:
    return HEALTHY.with_(Keyspace((here,), scanned=9, total=9), Databases((there,)))


def test_jobs_here_and_workers_there() -> None:
    [finding] = diagnose("NSP002", state(STRANDED, IDLE)).findings

    assert finding.severity == "critical"
    assert finding.finding.title == "7 jobs wait in database 0, and the 1 live worker reads database 1"


def test_workers_here_and_jobs_there() -> None:
    here, there = replace(IDLE, database=0), replace(STRANDED, database=2)

    assert diagnose("NSP002", state(here, there)).outcome is Outcome.FAIL


def test_staging_whose_worker_is_off_is_less_certain() -> None:
    assert diagnose("NSP002", state(replace(STRANDED, processed=True), IDLE)).findings[0].severity == "high"


def test_another_application_in_another_database_is_healthy() -> None:
    assert diagnose("NSP002", state(STRANDED, replace(IDLE, process_queues=("invoices",)))).outcome is Outcome.PASS
    assert diagnose("NSP002", state(INSTALLATION, IDLE)).outcome is Outcome.PASS


def test_workers_whose_queues_of_that_name_hold_jobs_too_prove_nothing() -> None:
    busy = replace(IDLE, waiting=1, queues=(("default", 1),))

    assert diagnose("NSP002", state(STRANDED, busy)).outcome is Outcome.UNKNOWN
    assert diagnose("NSP002", state(replace(STRANDED, processed=True), busy)).outcome is Outcome.PASS  # its own is off
    assert diagnose("NSP002", state(STRANDED, replace(busy, process_queues=("mail",)))).outcome is Outcome.PASS


HERE = "redis://db:6379/0"


def told(worker: str, *web: WebProcess, **fields: object) -> Snapshot:
    one = replace(LOCAL, home="8:1", redis=(f"REDIS_URL={worker}",), default_redis=worker, **fields)  # type: ignore[arg-type]
    return HEALTHY.with_(LocalProcesses("web-1", (one,), web=web), Connection(HERE))


def web(address: str, home: str = "8:1", **others: str) -> WebProcess:
    found = {"REDIS_URL": address, **others}
    return WebProcess(99, "puma", home, tuple(f"{name}={url}" for name, url in found.items()), address)


def test_web_and_worker_of_one_application_are_told_otherwise() -> None:
    [found] = diagnose("NSP002", told(HERE, web("redis://db:6379/1"))).findings

    assert (found.severity, found.finding.subject) == ("critical", "redis")
    assert "pushes to redis://db:6379/1" in found.finding.title


@pytest.mark.parametrize(
    "one",
    [web(HERE), web("redis://db"), web("redis://db:6379/1", home="8:2"), WebProcess(99, "puma", "8:1", ())],
)
def test_its_twins_are_told_the_same_or_are_another_application(one: WebProcess) -> None:
    assert diagnose("NSP002", told(HERE, one)).outcome is Outcome.PASS


def test_what_may_not_be_seen_or_may_be_meant_so_is_unknown() -> None:
    for one in (WebProcess(99, "puma", ""), WebProcess(99, "puma", "8:1")):
        assert diagnose("NSP002", told(HERE, one)).outcome is Outcome.UNKNOWN
    both = web("redis://cache:6379/1", SIDEKIQ_REDIS_URL=HERE)
    assert diagnose("NSP002", told(HERE, both)).outcome is Outcome.UNKNOWN


@contextmanager
def titled(title: str, url: str, folder: Path) -> Iterator[None]:
    """A process that bears this title, is connected to this Redis, and has it in its environment."""
    port = str(urlsplit(url).port)
    words = ["bash", "-c", 'exec 3<>"/dev/tcp/127.0.0.1/$1"; exec -a "$0" sleep 600', title, port]
    process = subprocess.Popen(words, cwd=folder, env={"PATH": os.environ["PATH"], "REDIS_URL": url})
    try:
        eventually(lambda: Path(f"/proc/{process.pid}/cmdline").read_bytes().startswith(title.encode()))
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("database", "outcome"), [("1", "fail"), ("0", "pass")])
def test_real_processes(redis_server: RedisServer, tmp_path: Path, database: str, outcome: str) -> None:
    other = redis_server.url[:-1] + database
    with (
        titled("sidekiq 7.3.2 shop [0 of 5 busy]", redis_server.url, tmp_path),
        titled("puma 6.6.0 (tcp://0.0.0.0:3000) [shop]", other, tmp_path),
    ):
        found = check(redis_server.url, "--select", "NSP002")

    assert found.outcome("NSP002") == outcome
    assert found.severities("NSP002") == ["critical"] * (outcome == "fail")


def test_a_database_that_was_not_looked_at_is_unknown() -> None:
    result = diagnose("NSP002", HEALTHY.with_(Databases((), ((3, "Redis refuses SELECT"),))))

    assert result.outcome is Outcome.UNKNOWN
    assert "database 3" in (result.reason or "")
