"""RED010: more than pools allow, more and more, cut when idle; on plain facts and on a real Redis."""

from dataclasses import replace

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY, WATCHED
from healthy.fleet import WORKER
from healthy.host import LOCAL
from healthy.redis import CONFIGURATION
from servers import RedisServer

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.redis import Client, Clients, Configuration
from kiqdoctor.doctor.facts.settings import RedisSettings
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Absent, Refused, Snapshot


def clients(count: int, host: str = "10.0.0.1", flags: str = "N") -> Clients:
    return Clients(tuple(Client(n, f"{host}:{5000 + n}", flags=flags, idle_s=90) for n in range(count)))


def set_to(**settings: str) -> Snapshot:
    named = {name.replace("_", "-"): value for name, value in settings.items()}
    return WATCHED.with_(Configuration({**CONFIGURATION.settings, **named})).over(60, *[clients(3)] * 3)


def test_more_and_more() -> None:
    [found] = diagnose("RED010", WATCHED.over(30, clients(5), clients(20), clients(40))).findings

    assert (found.severity, found.fingerprint) == ("low", "RED010:redis:growth-10.0.0.1")


@pytest.mark.parametrize("counts", [(5, 40, 40), (5, 40, 30), (5, 10, 15), (40, 20, 5)])
def test_pools_that_fill_and_stay(counts: tuple[int, ...]) -> None:
    series = (counts[0], counts[1], counts[2])

    assert diagnose("RED010", WATCHED.over(30, *map(clients, series))).outcome is Outcome.PASS


def test_one_look_shows_no_growth() -> None:
    once = diagnose("RED010", HEALTHY.with_(clients(500)))
    short = diagnose("RED010", HEALTHY.over(5, clients(5), clients(20), clients(40)))

    assert "--for 60" in (once.reason or "")
    assert short.outcome is Outcome.UNKNOWN


def holding(count: int) -> Snapshot:
    """The worker of this host with so many connections."""
    sockets = tuple((f"10.0.0.1:{5000 + n}", "10.0.0.2:6379") for n in range(count))
    mine = replace(LOCAL, sockets=sockets)
    fleet = Fleet((replace(WORKER, version="8.1.7"),), 1)
    return WATCHED.with_(LocalProcesses("web-1", (mine,)), fleet).over(60, *[clients(count)] * 3)


def test_a_worker_beyond_its_pools() -> None:
    [found] = diagnose("RED010", holding(16)).findings

    assert found.fingerprint == "RED010:process:web-1:beyond-its-pools"
    assert diagnose("RED010", holding(15)).outcome is Outcome.PASS
    unsized = holding(16).without(RedisSettings, Absent("--live"))  # a size of its own would explain it
    assert diagnose("RED010", unsized).outcome is Outcome.PASS


@pytest.mark.parametrize(("seconds", "found"), [("0", 0), ("1", 1), ("60", 1), ("61", 0), ("300", 0)])
def test_a_server_that_cuts_idle_pools(seconds: str, found: int) -> None:
    assert len(diagnose("RED010", set_to(timeout=seconds)).findings) == found


def test_keepalive_is_off_behind_one_address() -> None:
    two = Fleet((WORKER, replace(WORKER, identity="web-2:1:b", hostname="web-2")), 2)
    silent = set_to(tcp_keepalive="0").with_(two)
    behind = silent.over(60, *[clients(3, "10.9.9.9", "b")] * 3)

    assert diagnose("RED010", behind).findings[0].fingerprint == "RED010:redis:keepalive"
    apart = (*clients(3, "10.9.9.9", "b").all, *clients(3, "10.9.9.8", "b").all)
    assert diagnose("RED010", silent.over(60, *[Clients(apart)] * 3)).outcome is Outcome.PASS


def test_what_is_refused_is_no_pass() -> None:
    refused = WATCHED.without(Configuration, Refused("NOPERM", "+config|get"))

    assert "+config|get" in (diagnose("RED010", refused).reason or "")


def test_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    assert check(redis_server.url, "--select", "RED010").outcome("RED010") == "unknown"
    redis.config_set("timeout", 30)
    try:
        assert check(redis_server.url, "--select", "RED010").severities("RED010") == ["low"]
    finally:
        redis.config_set("timeout", 0)
