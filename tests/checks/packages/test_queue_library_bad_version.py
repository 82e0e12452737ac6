"""PKG002: versions with a known fault."""

from dataclasses import replace

import msgspec
import pytest
from healthy import HEALTHY
from healthy.config import FILE

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.config import QueueLine, WorkerSettings
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.report import Outcome, Result


def judged(version: str, *others: Package, shared: bool = False) -> Result:
    queues = (QueueLine("mail", None, 3, "capsules.bulk"),) if shared else ()
    workers = WorkerSettings((msgspec.structs.replace(FILE, queues=(*FILE.queues, *queues)),))
    locked = Packages((Package("ruby", "sidekiq", version, "Gemfile.lock", 9), *others))
    return diagnose("PKG002", HEALTHY.with_(locked, workers))


@pytest.mark.parametrize(
    ("version", "count"),
    [
        ("4.1.2", 3), ("5.2.9", 2), ("5.2.10", 1), ("6.3.1", 2), ("6.5.9", 1), ("6.5.10", 0), ("6.5.12", 0),
        ("7.0.5", 3), ("7.0.6", 3), ("7.0.7", 2), ("7.0.8", 1), ("7.1.2", 1), ("7.1.3", 0), ("7.2.3", 1), ("7.2.4", 0),
        ("7.3.9", 0), ("8.1.5", 1), ("8.1.6", 0),
    ],
)  # fmt: skip
def test_ranges(version: str, count: int) -> None:
    result = judged(version)

    assert len(result.findings) == count
    assert all(one.finding.location is not None and one.finding.location.line == 9 for one in result.findings)


def test_what_needs_company() -> None:
    assert len(judged("8.1.2", shared=True).findings) == 2
    assert len(judged("8.1.2").findings) == 1
    assert judged("8.1.7", shared=True).outcome is Outcome.PASS
    scout = Package("ruby", "scout_apm", "5.1.5", "Gemfile.lock")
    assert judged("6.5.12", scout).outcome is Outcome.FAIL
    assert judged("6.5.12", replace(scout, version="5.2.0")).outcome is Outcome.PASS


def test_a_commit_says_nothing() -> None:
    commit = Packages((Package("ruby", "sidekiq", "7.0.5", "Gemfile.lock", origin="git"),))

    assert diagnose("PKG002", HEALTHY.with_(commit)).outcome is Outcome.UNKNOWN


def test_redis_of_that_one_version() -> None:
    assert judged("7.3.9", Package("ruby", "redis", "3.3.0", "Gemfile.lock")).outcome is Outcome.FAIL
    assert judged("7.3.9", Package("ruby", "redis", "3.3.1", "Gemfile.lock")).outcome is Outcome.PASS
