"""RED007: a replica, too few replicas, errors that rise; on plain facts and on a real pair of servers."""

import pytest
from doctoring import check
from healthy import HEALTHY
from healthy.redis import SERVER
from servers import RedisServer, eventually

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.redis import Configuration, Server
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused


def told(**fields: str) -> Server:
    return Server({**SERVER.info, **fields})


@pytest.mark.parametrize("role", ["slave", "replica"])
def test_a_replica(role: str) -> None:
    [found] = diagnose("RED007", HEALTHY.with_(told(role=role))).findings

    assert (found.severity, found.fingerprint) == ("critical", "RED007:redis:replica")
    assert diagnose("RED007", HEALTHY.with_(told(role="master"))).outcome is Outcome.PASS


def test_a_replica_that_takes_writes_loses_them() -> None:
    [found] = diagnose("RED007", HEALTHY.with_(told(role="slave", slave_read_only="0"))).findings

    assert "lost when it synchronises" in found.finding.title


@pytest.mark.parametrize("kind", ["READONLY", "NOREPLICAS"])
def test_errors_that_rise(kind: str) -> None:
    few, many, anew = (
        told(**{f"errorstat_{kind}": f"count={count}", "run_id": run}) for count, run in ((1, "a"), (4, "a"), (1, "b"))
    )

    assert diagnose("RED007", HEALTHY.over(10, few, many)).findings[0].finding.title.startswith("Redis refused 3")
    assert diagnose("RED007", HEALTHY.over(10, few, anew)).findings[0].finding.title.startswith("Redis refused 1")
    assert diagnose("RED007", HEALTHY.over(10, many, many)).outcome is Outcome.PASS
    assert diagnose("RED007", HEALTHY.with_(many).after(86_400, few)).outcome is Outcome.PASS


def test_too_few_good_replicas() -> None:
    needs_two = Configuration({"min-replicas-to-write": "2"})
    lacking, enough = (HEALTHY.with_(told(min_slaves_good_slaves=good), needs_two) for good in ("1", "2"))

    assert diagnose("RED007", lacking).findings[0].fingerprint == "RED007:redis:too-few-replicas"
    assert diagnose("RED007", enough).outcome is Outcome.PASS


def test_how_many_are_needed_is_not_told() -> None:
    refused = HEALTHY.without(Configuration, Refused("NOPERM", "+config|get"))
    good = refused.with_(told(min_slaves_good_slaves="1"))
    was_refused = refused.with_(told(min_slaves_good_slaves="1", errorstat_NOREPLICAS="count=3"))

    assert diagnose("RED007", good).outcome is Outcome.PASS
    assert "+config|get" in (diagnose("RED007", was_refused).reason or "")
    assert diagnose("RED007", refused).outcome is Outcome.PASS


def test_a_server_without_a_role_is_no_pass() -> None:
    assert diagnose("RED007", HEALTHY.with_(Server({"run_id": "a"}))).outcome is Outcome.UNKNOWN


def test_a_real_primary_and_its_replica() -> None:
    with RedisServer.start() as primary, RedisServer.start({"replicaof": f"127.0.0.1 {primary.port}"}) as replica:
        with replica.client() as client:
            eventually(lambda: client.info("replication")["master_link_status"] == "up")
        assert check(replica.url, "--select", "RED007").severities("RED007") == ["critical"]
        assert check(primary.url, "--select", "RED007").outcome("RED007") == "pass"

        with primary.client() as client:
            client.config_set("min-replicas-to-write", 2)
        assert check(primary.url, "--select", "RED007").severities("RED007") == ["critical"]
