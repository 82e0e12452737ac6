"""A user of Redis with one permission fewer: a worker says at its start which it lacks, and runs no job for ever."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from acl import COMMANDS, KEYS
from ledger import Ledger, preamble
from servers import RedisServer, eventually
from workers import Worker

import kiqdoctor
from kiqdoctor.runtime.config import Settings, connect
from kiqdoctor.runtime.permissions import ALSO, TRIED, missing
from kiqdoctor.runtime.servers import ServerError, fit
from kiqdoctor.wire.keys import Keys


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer.start() as found:
        yield found


def as_user(server: RedisServer, commands: list[str], keys: tuple[str, ...] = KEYS) -> "redis_py.Redis":
    with server.client() as admin:
        admin.execute_command("ACL", "DELUSER", "worker")
        admin.acl_setuser("worker", enabled=True, passwords=["+secret"], keys=list(keys), commands=commands)
    return connect(Settings(server.url.replace("redis://", "redis://worker:secret@")), 1)


def test_the_smallest_acl_lacks_nothing_and_leaves_nothing(server: RedisServer) -> None:
    with as_user(server, list(COMMANDS)) as client:
        found = missing(client, Keys(), ["default"], "host:1:a")
    with server.client() as admin:
        assert admin.dbsize() == 0
        assert admin.acl_log() == []
    assert (found.needed, found.other) == ((), ())


def test_each_permission_that_is_missing_is_named(server: RedisServer) -> None:
    assert {f"+{one[0].lower()}" for one in (*TRIED, *ALSO) if isinstance(one[0], str)} > {"+lrem", "+lmove", "+lpos"}
    for one in sorted(set(COMMANDS) - {"+ping", "+select"}):
        with as_user(server, [command for command in COMMANDS if command != one]) as client:
            found = missing(client, Keys(), ["default"], "host:1:a")
        assert [*found.needed, *found.other] == [one]


def test_without_ping_it_says_so(server: RedisServer) -> None:
    with (
        as_user(server, [command for command in COMMANDS if command != "+ping"]) as client,
        pytest.raises(ServerError, match="ping"),
    ):
        fit(client, Keys(), ["default"], "host:1:a")


@pytest.mark.parametrize(
    ("key", "said"),
    [("queue:*", "~queue:default"), ("retry", "~retry"), ("kiq:*", "~kiq:*"), ("*:*:*", "~host:1:a"), ("it-*", "~it-")],
)
def test_each_key_that_is_closed_is_named(server: RedisServer, key: str, said: str) -> None:
    with as_user(server, list(COMMANDS), tuple(one for one in KEYS if one != key)) as client:
        found = missing(client, Keys(), ["default"], "host:1:a")
    assert any(one.startswith(said) for one in found.needed), found


def test_a_worker_without_lrem_does_not_start(server: RedisServer) -> None:
    as_user(server, [command for command in COMMANDS if command != "+lrem"]).close()
    worker = Worker("from kiqdoctor import job\n@job\ndef f(): ...\n", server.url.replace("//", "//worker:secret@"))
    with pytest.raises(AssertionError, match=r"lacks \+lrem"):
        worker.up()


def test_the_smallest_acl_gives_back_what_still_runs(server: RedisServer, tmp_path: Path) -> None:
    app = """
@job(name="acl.hold")
def hold(n):
    with noted():
        time.sleep(300)
"""
    as_user(server, list(COMMANDS)).close()
    url = server.url.replace("redis://", "redis://worker:secret@")
    kiqdoctor.configure(redis=url)
    hold = kiqdoctor.job(name="acl.hold")(lambda n: None)
    with server.client() as admin:
        user = Said(preamble(tmp_path / "ledger") + app, url, ("-c", "2", "-t", "0.1"))
        try:
            user.up()
            hold.perform_bulk([[n] for n in range(2)])
            eventually(lambda: Ledger.read(tmp_path / "ledger").executions == 2, user.log())
            admin.script_flush()  # so that it must load the scripts again
            assert user.stop() == 0
            assert "gave 2 running jobs back" in user.log()
        finally:
            user.kill()
        entries: list[Any] = admin.acl_log()
        assert entries == []
        assert admin.llen("queue:default") == 2


class Said(Worker):
    """Its log says that it runs: the default user sees its record."""

    def _seen(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        return " runs " in self.log()
