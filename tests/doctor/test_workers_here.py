"""Which record is whose, where containers number their processes alike."""

from dataclasses import replace

import pytest
from healthy.fleet import WORKER
from healthy.host import LOCAL

from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.redis import Clients, Connection
from kiqdoctor.doctor.workers_here import present, registered


def replica(host: str) -> Process:
    """As the same deployment starts it in a container of its own, on whatever node."""
    started = LOCAL.started_at + 5
    return replace(WORKER, identity=f"{host}:1:aabbccddeeff", hostname=host, pid=1, started_at=started)


@pytest.mark.parametrize(
    ("names", "hosts", "found"),
    [
        (("shop-b",), ("shop-a", "shop-b", "shop-c"), "shop-b"),
        ((), ("shop-a",), "shop-a"),
        (("image",), ("shop-a",), "shop-a"),
        ((), ("shop-a", "shop-b"), None),
        (("image",), ("shop-a", "shop-b"), None),
    ],
)
def test_of_replicas_the_one_of_its_own_host_or_none(
    names: tuple[str, ...], hosts: tuple[str, ...], found: str | None
) -> None:
    local = replace(LOCAL, pid=5676, namespace_pids=(5676, 1), host_names=names)
    fleet = Fleet(tuple(map(replica, hosts)), len(hosts))

    record = registered(local, fleet, LocalProcesses("node-1", (local,)))

    assert (record.hostname if record else None) == found


PROXIED = replace(LOCAL, sockets=(("127.0.0.1:5000", "127.0.0.1:6380"),), redis=("REDIS_URL=redis://127.0.0.1:6380/0",))


@pytest.mark.parametrize(("beat_age_s", "here"), [(3.0, 1), (90.0, 0)])
def test_who_beats_here_by_way_of_a_proxy_is_here(beat_age_s: float, here: int) -> None:
    fleet = Fleet((replace(WORKER, beat_age_s=beat_age_s),), 1)
    local = LocalProcesses("web-1", (PROXIED,))

    seen = present(fleet, local, Connection("redis://redis-1:6379/0"), Clients(()))

    assert (len(seen.here), len(seen.elsewhere)) == (here, 0)


@pytest.mark.parametrize(
    ("named", "examined", "here"),
    [("shop", "shop", 1), ("shop", "", 0), ("shop", "blog", 0), (None, "", 1), (None, "blog", 1)],
)
def test_one_whose_command_names_another_namespace_is_of_that(named: str | None, examined: str, here: int) -> None:
    """It is not registered where it was looked for; which namespace others are of, their commands do not tell."""
    own = replace(LOCAL, kind="kiqdoctor", namespace=named, sockets=(("127.0.0.1:5000", "127.0.0.1:6379"),), redis=())

    seen = present(
        Fleet(namespace=examined), LocalProcesses("web-1", (own,)), Connection("redis://localhost"), Clients()
    )

    assert len(seen.here) == here
