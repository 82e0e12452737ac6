"""RED001: the step that failed, and a server that answers but does not serve."""

import pytest
from healthy import HEALTHY

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.redis import Connection, Server
from kiqdoctor.doctor.report import Outcome


@pytest.mark.parametrize("step", ["dns", "tcp", "tls", "auth", "ping", "loading", "select"])
def test_a_step_that_failed_is_named(step: str) -> None:
    result = diagnose("RED001", HEALTHY.with_(Connection("redis://db:6379/0", step, "words of the error", 3)))

    [finding] = result.findings
    assert finding.severity == "critical"
    assert f"{step} failed" in finding.finding.title
    assert "words of the error" in finding.finding.title


def test_nobody_named_a_redis_and_none_is_there() -> None:
    away = Connection("redis://localhost:6379/0", "tcp", "refused", 3, named=False)

    assert diagnose("RED001", HEALTHY.with_(away)).outcome is Outcome.UNKNOWN


def test_a_full_server_is_reachable() -> None:
    full = Connection("redis://db:6379/0", "limit", "max number of clients reached")

    assert diagnose("RED001", HEALTHY.with_(full)).outcome is Outcome.UNKNOWN


def test_a_replica_without_its_primary() -> None:
    replica = {"role": "slave", "master_link_status": "down"}

    assert diagnose("RED001", HEALTHY.with_(Server(replica))).findings[0].finding.key == "replica"
    assert diagnose("RED001", HEALTHY.with_(Server(replica | {"master_link_status": "up"}))).outcome is Outcome.PASS


def test_a_server_that_refuses_while_it_loads() -> None:
    def loading(seconds: int | None) -> Connection:
        return Connection("redis://db:6379/0", "loading", "LOADING Redis is loading", 3, loading_s=seconds)

    assert diagnose("RED001", HEALTHY.with_(loading(31))).outcome is Outcome.FAIL
    assert diagnose("RED001", HEALTHY.with_(loading(None))).outcome is Outcome.FAIL
    assert diagnose("RED001", HEALTHY.with_(loading(5))).outcome is Outcome.UNKNOWN


def test_a_replica_loads_long_after_its_start() -> None:
    synchronising = {"loading": "1", "uptime_in_seconds": "86400", "loading_start_time": "1000"}

    for seconds, outcome in ((5, Outcome.PASS), (31, Outcome.FAIL)):
        now = {"server_time_usec": str((1000 + seconds) * 1_000_000)}
        assert diagnose("RED001", HEALTHY.with_(Server(synchronising | now))).outcome is outcome


def test_loading_for_long() -> None:
    loading = {"loading": "1", "uptime_in_seconds": "31"}

    assert diagnose("RED001", HEALTHY.with_(Server(loading))).outcome is Outcome.FAIL
    assert diagnose("RED001", HEALTHY.with_(Server(loading | {"uptime_in_seconds": "5"}))).outcome is Outcome.PASS
