"""PKG004: pairs of versions, and settings that a version refuses."""

from dataclasses import replace

import pytest
from healthy import HEALTHY
from healthy.settings import SETTING

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.code import Argument, Call, Calls, Shape
from kiqdoctor.doctor.facts.deployment import Deployment, WorkerConfig
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.facts.settings import RedisSettings
from kiqdoctor.doctor.report import Outcome, Result


def locked(language: str = "ruby", **versions: str) -> Packages:
    return Packages(tuple(Package(language, name, version, "lock") for name, version in versions.items()))


def judged(packages: Packages, *facts: object) -> Result:
    return diagnose("PKG004", HEALTHY.with_(packages, *facts))


@pytest.mark.parametrize(
    ("sidekiq", "name", "fault", "twin"),
    [
        ("7.3.9", "connection_pool", "3.0.2", "2.5.0"),
        ("8.0.9", "connection_pool", "3.0.0", "2.4.1"),
        ("6.5.12", "redis", "5.0.0", "4.8.1"),
        ("8.1.7", "rails", "6.1.7", "7.0.0"),
        ("8.1.7", "railties", "6.1.7", "7.2.0"),
    ],
)
def test_pairs(sidekiq: str, name: str, fault: str, twin: str) -> None:
    [finding] = judged(locked(sidekiq=sidekiq, **{name: fault})).findings

    assert (finding.severity, finding.finding.subject) == ("high", f"package:{name}")
    assert judged(locked(sidekiq=sidekiq, **{name: twin})).outcome is Outcome.PASS


@pytest.mark.parametrize("sidekiq", ["7.3.10", "8.0.10", "8.1.7"])
def test_later_versions_know_connection_pool_3(sidekiq: str) -> None:
    assert judged(locked(sidekiq=sidekiq, connection_pool="3.0.2")).outcome is Outcome.PASS


def test_a_namespace_counts_only_where_it_is_configured() -> None:
    named = RedisSettings((replace(SETTING, namespace="shop"),))
    gem = locked(sidekiq="7.3.9", **{"redis-namespace": "1.11.0"})

    assert judged(gem, named).outcome is Outcome.FAIL
    assert judged(gem).outcome is Outcome.PASS
    assert judged(locked(sidekiq="6.5.12"), named).outcome is Outcome.PASS
    assert judged(locked(sidekiq="7.3.9"), RedisSettings((replace(SETTING, protocol="2"),))).outcome is Outcome.FAIL


def test_a_version_that_nobody_knows() -> None:
    commit = Packages((Package("ruby", "sidekiq", "7.3.9", "Gemfile.lock", origin="git"),))

    assert judged(commit).outcome is Outcome.UNKNOWN
    assert judged(locked(sidekiq="7.3.9", connection_pool="")).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("version", "threads", "named", "outcome"),
    [
        ("8.1.0", 120, "host", Outcome.FAIL),
        ("8.1.0", 100, "host", Outcome.PASS),
        ("8.1.0", 120, "max_connections", Outcome.PASS),
        ("7.1.0", 120, "host", Outcome.PASS),
    ],
)
def test_more_threads_than_redis_py_s_pool_has(version: str, threads: int, named: str, outcome: Outcome) -> None:
    worker = WorkerConfig("Procfile", concurrency=threads, language="python")
    calls = Calls((Call(0, 3, 1, "redis.Redis", (Argument(named, Shape.NUMBER, "200"),)),))

    assert judged(locked("python", redis=version), Deployment((worker,)), calls).outcome is outcome
