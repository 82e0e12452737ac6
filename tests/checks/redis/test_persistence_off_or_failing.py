"""RED006: saving that is off, fails, or refuses writes; on plain facts and on a real Redis."""

import shutil
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.redis import CONFIGURATION, SERVER
from servers import RedisServer, eventually

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.redis import Configuration, Connection, Server
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused, Snapshot

NOTHING = {"aof_enabled": "0", "connected_slaves": "0"}


def told(**fields: str) -> Server:
    return Server({**SERVER.info, **fields})


def saving(save: str | None, **fields: str) -> Snapshot:
    rest = {name: value for name, value in CONFIGURATION.settings.items() if name != "save"}
    return HEALTHY.with_(told(**fields), Configuration(rest if save is None else {**rest, "save": save}))


@pytest.mark.parametrize("name", ["rdb_last_bgsave_status", "aof_last_write_status"])
def test_a_save_that_failed(name: str) -> None:
    [found] = diagnose("RED006", HEALTHY.with_(told(**{name: "err"}))).findings

    assert (found.severity, found.fingerprint) == ("high", f"RED006:redis:{name}")


def test_the_last_save_is_told_as_a_time() -> None:
    def last(value: str) -> list[str]:
        evidence = diagnose("RED006", HEALTHY.with_(told(rdb_last_save_time=value))).evidence
        return [one.value for one in evidence if one.label == "rdb_last_save_time"]

    assert last("1767225600") == ["2026-01-01T00:00:00Z"]
    assert last("?") == ["?"]


def test_writes_that_are_refused_while_we_look() -> None:
    one, other = (told(errorstat_MISCONF=f"count={count}", total_error_replies="9") for count in (2, 5))

    assert diagnose("RED006", HEALTHY.over(10, one, other)).findings[0].fingerprint == "RED006:redis:misconf"
    assert diagnose("RED006", HEALTHY.over(10, other, other)).outcome is Outcome.PASS


def test_nothing_is_kept() -> None:
    [found] = diagnose("RED006", saving("", **NOTHING)).findings

    assert (found.severity, found.fingerprint) == ("medium", "RED006:redis:off")


def test_its_twins_keep_something() -> None:
    assert diagnose("RED006", saving("3600 1", **NOTHING)).outcome is Outcome.PASS
    assert diagnose("RED006", saving("", **NOTHING | {"aof_enabled": "1"})).outcome is Outcome.PASS
    assert diagnose("RED006", saving("", **NOTHING | {"connected_slaves": "1"})).outcome is Outcome.PASS


def test_a_server_for_trials_is_told_as_info() -> None:
    trial, real = (Fleet((replace(WORKER, tag=tag),), 1) for tag in ("shop-staging", "contest"))

    assert diagnose("RED006", saving("", **NOTHING).with_(trial)).findings[0].severity == "info"
    assert diagnose("RED006", saving("", **NOTHING).with_(real)).findings[0].severity == "medium"


def test_a_server_that_was_started_for_the_examination_need_keep_nothing() -> None:
    ours = saving("", **NOTHING).with_(Connection("redis://127.0.0.1:7000/0", embedded=True))

    assert diagnose("RED006", ours).outcome is Outcome.NOT_APPLICABLE


def test_a_hidden_configuration_leaves_the_question_open() -> None:
    hidden = saving(None, **NOTHING)
    refused = hidden.without(Configuration, Refused("NOPERM", "+config|get"))

    assert diagnose("RED006", hidden).outcome is Outcome.UNKNOWN
    assert "+config|get" in (diagnose("RED006", refused).reason or "")
    failing = refused.with_(told(**NOTHING, rdb_last_bgsave_status="err"))
    assert diagnose("RED006", failing).outcome is Outcome.FAIL
    on = refused.with_(told())
    assert diagnose("RED006", on).outcome is Outcome.PASS


def test_a_real_redis_that_keeps_nothing_and_its_twin() -> None:
    with RedisServer.start() as server, server.client() as client:
        assert check(server.url, "--select", "RED006").severities("RED006") == ["medium"]
        client.config_set("save", "3600 1")
        assert check(server.url, "--select", "RED006").outcome("RED006") == "pass"


def test_a_real_redis_that_cannot_save(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with RedisServer.start({"dir": str(folder), "save": "3600 1"}) as server, server.client() as client:
        assert check(server.url, "--select", "RED006").outcome("RED006") == "pass"
        shutil.rmtree(folder)
        client.bgsave()
        eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
        with suppress(redis_py.ResponseError):
            client.lpush("queue:mail", "x")

        found = check(server.url, "--select", "RED001,RED006,RED009")
        assert found.severities("RED006") == ["high"]
        assert found.outcome("RED001") == "pass"  # it refuses PING too, and is there
        assert found.outcome("RED009") in {"pass", "unknown"}
        server.down(signal.SIGKILL)  # it would try to save
