"""Whose worker a process of this host is."""

import pytest

from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses
from kiqdoctor.doctor.facts.redis import Client, Clients, Connection
from kiqdoctor.doctor.ownership import redis_sockets, works_for
from kiqdoctor.doctor.snapshot import Refused

MINE, REDIS, OTHER = "127.0.0.1:40000", "127.0.0.1:6379", "127.0.0.1:7000"
HERE = LocalProcesses(hostname="web-1", addresses=("10.0.0.5",))
SOCKET = "unix:///run/redis/redis.sock?db=0"


def worker(*redis: str, remote: str = "", mine: str = MINE) -> LocalProcess:
    return LocalProcess(1, "sidekiq", redis=redis, sockets=((mine, remote),) if remote else ())


def clients(address: str = MINE, server: str = REDIS) -> Clients:
    return Clients((Client(1, address, server=server),))


def examined(url: str = "redis://localhost:6379/0") -> Connection:
    return Connection(url, "", "")


def test_the_same_local_port_to_another_server_is_another_connection() -> None:
    foreign = worker(remote=OTHER)
    assert works_for(foreign, examined(), clients(), HERE) is False
    assert redis_sockets(foreign, examined(), clients(), HERE) == ()

    assert works_for(worker(remote=REDIS), examined(), clients(), HERE) is True
    assert works_for(worker(remote=OTHER), examined(), clients(server=OTHER), HERE) is True


@pytest.mark.parametrize("server", ["", "10.1.2.3:16379"])
def test_what_a_network_translates_is_told_by_our_own_end(server: str) -> None:
    mine = "10.0.0.5:40000"
    sees = clients(mine, server)
    assert works_for(worker(remote="10.9.9.9:6379", mine=mine), examined("redis://cache:6379/0"), sees, HERE) is True


@pytest.mark.parametrize(
    ("redis", "remote", "works"),
    [
        (("REDIS_URL=unix:///run/redis/redis.sock?db=0",), "", True),
        (("REDIS_URL=unix:///var/run/redis/redis.sock?db=0",), "", True),
        (("--redis=unix:///run/redis/redis.sock?db=2",), "", False),
        (("REDIS_URL=unix:///run/other.sock?db=0",), OTHER, False),
        (("REDIS_URL=redis://127.0.0.1:7000/0",), OTHER, False),
        (("REDIS_URL=redis://127.0.0.1:6379/0",), "", None),
        ((), OTHER, None),
    ],
)
def test_a_unix_socket_is_examined(redis: tuple[str, ...], remote: str, works: bool | None) -> None:
    assert works_for(worker(*redis, remote=remote), examined(SOCKET), Clients(), HERE) is works


def test_without_the_list_of_clients_an_address_that_is_named_may_be_the_same_server() -> None:
    named = worker("REDIS_URL=redis://127.0.0.1:7000/0", remote=OTHER)
    assert works_for(named, examined(SOCKET), Refused("NOPERM"), HERE) is None


def test_a_worker_at_a_unix_socket_may_use_the_port_that_is_examined() -> None:
    assert works_for(worker(f"REDIS_URL={SOCKET}", remote=OTHER), examined(), Clients(), HERE) is None
