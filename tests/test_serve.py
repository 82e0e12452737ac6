"""The report over HTTP: 503 with the reason while it is stale, 200 again by itself; /metrics is always 200."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from doctoring import SECRETS, kiqdoctor
from healthy import HEALTHY
from servers import RedisServer, eventually

from kiqdoctor.answering import Pages
from kiqdoctor.clock import Clock
from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.redis import Connection
from kiqdoctor.doctor.report import Report, Target
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.errors import AskedError
from kiqdoctor.examining.watching import watch
from kiqdoctor.render.formats import json as as_json
from kiqdoctor.render.formats import prometheus
from kiqdoctor.serve import LONGEST_LOOK, Views, Watch, server

VIEWS = Views(as_json.render, prometheus.render, prometheus.CONTENT_TYPE)
TARGET = Target("redis://redis-1:6379/0", None, None)


class Reply(NamedTuple):
    status: int
    body: str
    kind: str

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    def number(self, name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.body, re.MULTILINE)
        assert found, self.body
        return float(found[1])


def ask(address: str, path: str, method: str = "GET") -> Reply:
    with closing(http.client.HTTPConnection(address, timeout=60)) as connection:
        connection.request(method, path)
        reply = connection.getresponse()
        return Reply(reply.status, reply.read().decode(), str(reply.getheader("Content-Type")))


def test_an_address_that_cannot_be_is_refused_before_anything_listens() -> None:
    """It would be examined in vain for ever."""
    with pytest.raises(AskedError, match="cannot be read"):
        watch(Asked(redis="redis://h:99999/0"), interval_s=1, stale_after_s=1, say=print)


WELL = Report("0.1.0", 1.0, 0.1, TARGET, (diagnose("RED001", HEALTHY),))


def well() -> Report:
    return WELL


def away() -> Report:
    gone = HEALTHY.with_(Connection(str(TARGET.redis), "tcp", "Connection refused\x1b[2J", 3))
    return Report("0.1.0", 2.0, 0.1, TARGET, (diagnose("RED001", gone),), exit_status=3)


class Turned:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.clock = Clock(monotonic=lambda: self.now)


@contextmanager
def watching(look: Callable[[], Report], turned: Turned | None = None, *, every: float = 3600) -> Iterator[Pages]:
    said: list[str] = []
    clock = (turned or Turned()).clock
    watch = Watch(look, VIEWS, interval_s=every, stale_after_s=60, say=said.append, clock=clock)
    httpd = server(watch, ("127.0.0.1", 0), said.append)
    httpd.start()
    watch.start()
    try:
        yield httpd
    finally:
        watch.stop()
        httpd.stop()


def fresh(address: str) -> bool:
    return ask(address, "/readyz").status == 200


def ended(address: str) -> bool:
    return sum(ask(address, "/metrics").number(f'kiqdoctor_examinations_total{{ended="{one}"}}')
               for one in ("complete", "incomplete", "failed")) > 0  # fmt: skip


def test_a_fresh_report_is_served_whole() -> None:
    with watching(well) as httpd:
        eventually(lambda: fresh(httpd.address), "the first examination")
        status, metrics = ask(httpd.address, "/status.json"), ask(httpd.address, "/metrics")

    assert (status.status, status.kind) == (200, "application/json")
    assert (status.document["stale"], status.document["reason"]) == (False, None)
    assert status.document["report"] == json.loads(as_json.render(well()))
    assert (metrics.status, metrics.kind) == (200, prometheus.CONTENT_TYPE)
    assert metrics.number("kiqdoctor_report_stale") == 0
    assert metrics.number('kiqdoctor_checks{outcome="pass"}') == 1
    assert metrics.body.endswith("\n# EOF\n")
    assert metrics.body.count("# EOF") == 1


def test_before_the_first_report_all_but_the_reason_is_missing() -> None:
    go_on = threading.Event()

    def slow() -> Report:
        go_on.wait()
        return well()

    with watching(slow) as httpd:
        ready, status, metrics = (ask(httpd.address, path) for path in ("/readyz", "/status.json", "/metrics"))
        live = ask(httpd.address, "/livez")
        go_on.set()

    assert (ready.status, ready.body) == (503, "the first examination has not ended yet\n")
    assert (status.status, status.document["report"], status.document["age_s"]) == (503, None, None)
    assert (metrics.status, metrics.number("kiqdoctor_report_stale")) == (200, 1)
    assert live.status == 200


def test_an_old_report_is_stale() -> None:
    turned = Turned()
    with watching(well, turned) as httpd:
        eventually(lambda: fresh(httpd.address), "the first examination")
        turned.now += 61
        ready, status, metrics = (ask(httpd.address, path) for path in ("/readyz", "/status.json", "/metrics"))

    assert (ready.status, ready.body) == (503, "the last report is 61 s old, more than 60 s\n")
    assert (status.status, status.document["age_s"]) == (503, 61)
    assert status.document["report"]["summary"]["pass"] == 1
    assert (metrics.status, metrics.number("kiqdoctor_report_age_seconds")) == (200, 61)


def test_what_could_not_be_reached_makes_it_stale_and_is_in_the_metrics() -> None:
    with watching(away) as httpd:
        eventually(lambda: ended(httpd.address), "the first examination")
        ready, status, metrics = (ask(httpd.address, path) for path in ("/readyz", "/status.json", "/metrics"))

    assert ready.status == 503
    assert "Redis cannot be reached: tcp failed (3 tries): Connection refused" in ready.body
    assert "\x1b" not in ready.body + status.body
    assert status.document["report"]["results"][0]["outcome"] == "fail"
    assert metrics.number('kiqdoctor_findings{severity="critical"}') == 1
    assert metrics.number('kiqdoctor_examinations_total{ended="incomplete"}') == 1


def test_an_examination_that_raises_keeps_the_last_report_and_says_why() -> None:
    turns = iter([well, None, well])

    def look() -> Report:
        turn = next(turns, well)
        if turn is None:
            raise RuntimeError("the disk\nis gone")
        return turn()

    with watching(look, every=0.01) as httpd:
        eventually(
            lambda: ask(httpd.address, "/metrics").number('kiqdoctor_examinations_total{ended="failed"}') == 1, "failed"
        )
        eventually(lambda: fresh(httpd.address), "fresh again")


def test_an_examination_that_hangs_is_what_a_restart_helps() -> None:
    turned, go_on, began = Turned(), threading.Event(), threading.Event()

    def hanging() -> Report:
        began.set()
        go_on.wait()
        return well()

    with watching(hanging, turned) as httpd:
        assert began.wait(60)
        turned.now += LONGEST_LOOK + 1
        live = ask(httpd.address, "/livez")
        go_on.set()

    assert (live.status, live.body) == (503, "an examination has been running for 601 s\n")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/status.json"])
def test_nothing_can_be_written(path: str) -> None:
    with watching(well) as httpd:
        assert [ask(httpd.address, path, method).status for method in ("POST", "PUT", "DELETE")] == [405, 405, 405]
        assert ask(httpd.address, path, "HEAD").body == ""


class Served(NamedTuple):
    process: "subprocess.Popen[str]"
    address: str
    said: list[str]


@contextmanager
def serving(*words: str) -> Iterator[Served]:
    """`kiqdoctor serve` as its users start it."""
    kept = {name: value for name, value in os.environ.items() if name not in SECRETS}
    command = [sys.executable, "-m", "kiqdoctor", "serve", "--listen", "0", "--isolated", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=kept, cwd=Path(__file__).parent / "lab")
    assert process.stderr is not None
    first = process.stderr.readline()
    found = re.search(r"http://([\d.]+:\d+)", first)
    assert found, first + process.stderr.read()
    said: list[str] = [first]
    reader = threading.Thread(target=lambda: said.extend(process.stderr or ()), daemon=True)
    reader.start()
    try:
        yield Served(process, found[1], said)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
        reader.join(120)
        process.stderr.close()


def test_it_answers_while_redis_is_stopped_and_started_under_it() -> None:
    with (
        RedisServer.start() as redis,
        serving("--redis", redis.url, "--live", "--select", "redis", "--interval", "1", "--stale-after", "600") as it,
    ):
        eventually(lambda: fresh(it.address), "fresh")
        redis.down()
        eventually(lambda: not fresh(it.address), "stale")
        ready, status, metrics = (ask(it.address, path) for path in ("/readyz", "/status.json", "/metrics"))
        live = ask(it.address, "/livez")
        redis.up()
        eventually(lambda: fresh(it.address), "fresh again, by itself")
        again = ask(it.address, "/status.json")

    assert "Redis cannot be reached: tcp failed" in ready.body
    assert (status.status, metrics.status, live.status) == (503, 200, 200)
    assert status.document["reason"] == ready.body.strip()
    assert metrics.number("kiqdoctor_report_stale") == 1
    assert (again.status, again.document["stale"]) == (200, False)
    assert again.document["report"]["results"][0]["outcome"] == "pass"
    assert [line.split(": ")[1].strip() for line in it.said[1:]] == [
        "the report is fresh",
        "stale",
        "the report is fresh",
    ]


def test_it_listens_on_loopback_and_warns_of_anything_else() -> None:
    with serving("--static", "--select", "PKG001") as it:
        assert it.address.startswith("127.0.0.1:")

    with serving("--static", "--select", "PKG001", "--listen", "0.0.0.0:0") as it:
        assert "where other hosts can read the report" in it.said[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--listen", "nowhere"), "--listen: host:port or a port up to 65535 is needed, not 'nowhere'"),
        (("--select", "NIL999"), "no check has the id"),
        (("--interval", "0"), "--interval"),
    ],
)
def test_wrong_words_are_one_line(words: tuple[str, ...], said: str) -> None:
    found = kiqdoctor("serve", *words)

    assert found.status == 2
    assert said in found.err
    assert len(found.err.strip().splitlines()) == 1


def test_a_port_in_use_is_one_line() -> None:
    with watching(well) as httpd:
        address = httpd.address
        found = kiqdoctor("serve", "--static", "--listen", address)

    assert (found.status, found.err) == (2, f"kiqdoctor: cannot listen on {address}: Address already in use\n")
