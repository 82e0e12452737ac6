"""RED008: too old, a cluster, no RESP3, a proxy; on plain facts and on real servers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.redis import SERVER
from servers import RedisServer
from states import beat
from trees import tree

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.facts.redis import Greeting, Server
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Absent, Refused, Snapshot
from kiqdoctor.probes.config.redis_files import redis_files
from kiqdoctor.wire.heartbeat import RUNTIME

LIVE = HEALTHY.without(Packages, Absent("--live"))


def told(redis: str, sidekiq: str | None, **fields: str) -> Snapshot:
    server = Server({**SERVER.info, "redis_version": redis, **fields})
    workers = () if sidekiq is None else (replace(WORKER, version=sidekiq),)
    return LIVE.with_(server, Fleet(workers, len(workers)))


@pytest.mark.parametrize(
    ("sidekiq", "least", "older"),
    [("7.0.3", "6.2.0", "6.0.16"), ("7.3.9", "6.2.14", "6.0.16"), ("8.0.0", "7.2.0", "7.0.15"),
     ("8.0.1", "7.0.15", "6.2.14"), ("8.1.7", "7.0.0", "6.2.14")],
)  # fmt: skip
def test_what_each_sidekiq_needs(sidekiq: str, least: str, older: str) -> None:
    assert diagnose("RED008", told(least, sidekiq)).outcome is Outcome.PASS
    [found] = diagnose("RED008", told(older, sidekiq)).findings
    assert (found.severity, found.fingerprint) == ("high", "RED008:redis:version")


def test_our_own_runtime_s_need() -> None:
    ours = Fleet((replace(WORKER, version="0.1.0", runtime=RUNTIME),), 1)

    assert diagnose("RED008", told("6.2.14", None).with_(ours)).outcome is Outcome.PASS
    assert diagnose("RED008", told("6.0.16", None).with_(ours)).outcome is Outcome.FAIL


def test_a_lock_file_says_what_will_run() -> None:
    locked = Packages((Package("ruby", "sidekiq", "8.1.7", "Gemfile.lock"),))

    assert diagnose("RED008", told("6.2.14", "7.3.9").with_(locked)).outcome is Outcome.FAIL
    assert diagnose("RED008", told("6.2.14", "7.3.9")).outcome is Outcome.PASS


def test_who_uses_it_is_not_known() -> None:
    assert diagnose("RED008", told("7.2.4", None)).outcome is Outcome.PASS
    assert diagnose("RED008", told("7.0.15", None)).outcome is Outcome.UNKNOWN
    assert diagnose("RED008", told("6.2.14", "")).outcome is Outcome.PASS  # up to 7.0.1
    assert diagnose("RED008", told("6.0.16", "")).outcome is Outcome.UNKNOWN


def test_a_sentinel() -> None:
    [found] = diagnose("RED008", told("7.2.4", "7.3.9", redis_mode="sentinel")).findings

    assert (found.severity, found.fingerprint) == ("high", "RED008:redis:sentinel")


@pytest.mark.parametrize("fields", [{"cluster_enabled": "1"}, {"redis_mode": "", "server_mode": "cluster"}])
def test_a_cluster(fields: dict[str, str]) -> None:
    [found] = diagnose("RED008", told("7.2.4", "7.3.9", **fields)).findings

    assert found.fingerprint == "RED008:redis:cluster"


def test_hello_is_refused() -> None:
    deaf = Greeting("Redis refuses HELLO: ERR unknown command")

    assert diagnose("RED008", told("7.2.4", "7.3.9").with_(deaf)).findings[0].finding.key == "hello"
    assert diagnose("RED008", told("7.2.4", "").with_(deaf)).outcome is Outcome.PASS  # speaks RESP2
    unread = told("7.2.4", "7.3.9").without(Greeting, Refused("went away"))
    assert diagnose("RED008", unread).outcome is Outcome.UNKNOWN


def test_a_proxy_is_medium_and_dragonfly_is_none() -> None:
    anonymous = {name: value for name, value in SERVER.info.items() if name != "run_id"}
    dragonfly = {**anonymous, "dragonfly_version": "df-v1.21"}

    assert diagnose("RED008", LIVE.with_(Server(anonymous))).findings[0].severity == "medium"
    assert diagnose("RED008", LIVE.with_(Server(dragonfly))).outcome is Outcome.PASS


def test_a_version_that_is_not_told_is_no_pass() -> None:
    assert diagnose("RED008", told("", "7.3.9")).outcome is Outcome.UNKNOWN


def test_a_real_server_and_a_real_cluster() -> None:
    with RedisServer.start() as server:
        with server.client() as client:
            beat(client, version="7.3.9")
        assert check(server.url, "--select", "RED008").outcome("RED008") == "pass"
    with RedisServer.start({"cluster-enabled": "yes"}) as server:
        found = check(server.url, "--select", "RED008").result("RED008")

    assert [one["fingerprint"] for one in found["findings"]] == ["RED008:redis:cluster"]


class Deaf(RedisServer):
    """A server that is spoken to in RESP2."""

    def client(self, **options: Any) -> "redis_py.Redis":
        return super().client(protocol=2, **options)


def test_a_real_server_whose_hello_is_gone() -> None:
    with Deaf.start({"rename-command": "HELLO NO-HELLO"}) as server:
        with server.client() as client:
            beat(client, version="8.1.7")

        found = check(server.url, "--select", "RED008").result("RED008")

    assert [one["title"] for one in found["findings"]] == [
        "HELLO 3 is refused, with which Sidekiq 8.1.7 begins every connection"
    ]


@pytest.mark.parametrize(
    ("image", "version", "outcome"),
    [
        ("redis:5", "7.3.9", Outcome.FAIL),
        ("redis:6.0-alpine", "7.3.9", Outcome.FAIL),
        ("redis:6", "7.3.9", Outcome.PASS),
        ("redis:6.2", "7.3.9", Outcome.PASS),
        ("redis:6.2", "8.1.7", Outcome.FAIL),
        ("redis:7", "8.1.7", Outcome.PASS),
        ("redis:5", "6.5.12", Outcome.PASS),
        ("redis", "8.1.7", Outcome.PASS),
    ],
)
def test_what_files_start(tmp_path: Path, image: str, version: str, outcome: Outcome) -> None:
    files = redis_files.read(tree(tmp_path, {"compose.yml": f"services: {{redis: {{image: '{image}'}}}}\n"}))
    locked = Packages((Package("ruby", "sidekiq", version, "Gemfile.lock"),))
    static = HEALTHY.with_(files, locked).without(Server, Absent("--static"))

    assert diagnose("RED008", static).outcome is outcome
