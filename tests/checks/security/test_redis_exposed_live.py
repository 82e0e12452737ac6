"""SEC001: who gets in without a password, and from where; on plain facts and on real servers."""

from pathlib import Path

import pytest
import roots
from doctoring import check
from healthy import HEALTHY
from healthy.redis import CONFIGURATION, SERVER
from servers import SYSTEM, RedisServer, using

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.redis import Configuration, Exposure, Server
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused, Snapshot
from kiqdoctor.probes.host.sockets import own_addresses

LOCAL, PRIVATE, PUBLIC = "127.0.0.1", "10.0.0.2", "8.8.8.8"


def entered(
    peer: str, *, opened: bool | None = True, bind: str | None = "127.0.0.1", mode: str = "yes",
    encrypted: bool = False, version: str = "7.2.4",
) -> Snapshot:  # fmt: skip
    snapshot = HEALTHY.with_(Exposure(peer, encrypted, opened, ""), Server({**SERVER.info, "redis_version": version}))
    if bind is None:
        return snapshot.without(Configuration, Refused("NOPERM", "+config|get"))
    return snapshot.with_(Configuration({**CONFIGURATION.settings, "bind": bind, "protected-mode": mode}))


@pytest.mark.parametrize(
    ("snapshot", "severity"),
    [
        (entered(PUBLIC, encrypted=True), "critical"),
        (entered(LOCAL, bind="0.0.0.0", mode="no"), "critical"),
        (entered(LOCAL, bind="", mode="no"), "critical"),
        (entered(LOCAL, bind="* -::*", mode="no"), "critical"),
        (entered(LOCAL, bind="127.0.0.1 10.0.0.2", mode="no"), "critical"),
        (entered("", bind="* -::*", mode="no"), "critical"),
        (entered(PRIVATE, bind="10.0.0.2", mode="yes", version="6.2.14"), "critical"),
        (entered(PRIVATE, bind=None), "high"),
        (entered(PUBLIC, opened=False), "high"),  # no TLS
    ],
)
def test_who_gets_in(snapshot: Snapshot, severity: str) -> None:
    [found] = diagnose("SEC001", snapshot).findings

    assert found.severity == severity


@pytest.mark.parametrize(
    "twin",
    [
        entered(LOCAL),
        entered(LOCAL, bind="127.0.0.1 -::1", mode="no"),
        entered(LOCAL, bind="* -::*", mode="yes"),
        entered(LOCAL, bind="", mode="yes", version="6.2.14"),
        entered("::1", bind="127.0.0.1 ::1"),
        entered(PRIVATE, opened=False, bind="0.0.0.0", mode="no"),
        entered(PUBLIC, opened=False, encrypted=True),
        entered(""),
    ],
)
def test_who_does_not(twin: Snapshot) -> None:
    assert diagnose("SEC001", twin).outcome is Outcome.PASS


def test_from_here_it_cannot_be_told_whether_others_get_in() -> None:
    assert "+config|get" in (diagnose("SEC001", entered(LOCAL, bind=None)).reason or "")
    assert diagnose("SEC001", entered("", bind=None)).outcome is Outcome.UNKNOWN
    assert diagnose("SEC001", entered(LOCAL, opened=None)).outcome is Outcome.UNKNOWN
    only_a_socket = entered("", bind=None).with_(Server({**SERVER.info, "tcp_port": "0"}))
    assert diagnose("SEC001", only_a_socket).outcome is Outcome.PASS


def beyond() -> str:
    """An address of this host that is no loopback's."""
    found = [one for one in own_addresses(Path("/proc")) if "." in one and not one.startswith("127.")]
    if not found:
        roots.absent("this host has no address but loopback's")
    return found[0]


def test_a_real_server_that_is_open_to_others() -> None:
    with RedisServer.start({"bind": "0.0.0.0", "protected-mode": "no"}) as server:
        assert check(server.url, "--select", "SEC001").severities("SEC001") == ["critical"]
        elsewhere = server.url.replace("127.0.0.1", beyond())
        assert check(elsewhere, "--select", "SEC001").severities("SEC001") == ["critical"]


def test_its_twins_let_nobody_in() -> None:
    with RedisServer.start() as server:
        assert check(server.url, "--select", "SEC001").outcome("SEC001") == "pass"
    with RedisServer.start({"bind": "0.0.0.0", "protected-mode": "no"}, password="secret") as server:
        found = check(server.url, "--select", "SEC001")
        elsewhere = check(server.url.replace("127.0.0.1", beyond()), "--select", "SEC001")

    assert (found.outcome("SEC001"), elsewhere.outcome("SEC001")) == ("pass", "pass")
    assert "secret" not in found.out
    [knocked] = [one["value"] for one in found.result("SEC001")["evidence"] if one["label"].startswith("PING")]
    assert knocked.startswith("NOAUTH")


@pytest.mark.parametrize("program", [SYSTEM, "redis6.2"])
def test_what_protected_mode_is_worth_differs_by_version(program: str) -> None:
    """Before 7.0 it lets everybody in where `bind` names an address."""
    address = beyond()
    with using(program), RedisServer.start({"bind": f"127.0.0.1 {address}", "protected-mode": "yes"}) as server:
        elsewhere = check(server.url.replace("127.0.0.1", address), "--select", "SEC001,RED001", "--timeout", "20")
        here = check(server.url, "--select", "SEC001")

    if program == SYSTEM:
        assert here.outcome("SEC001") == "pass"
        assert "DENIED" in elsewhere.result("RED001")["findings"][0]["title"]
    else:
        assert here.severities("SEC001") == elsewhere.severities("SEC001") == ["critical"]
