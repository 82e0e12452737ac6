"""What probes and a scraper are told over HTTP; and that strangers neither hold nor crash the server."""

import http.client
import math
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest
from servers import eventually

from kiqdoctor.answering import OF_ONE_PEER
from kiqdoctor.runtime.health import REQUEST_LIMIT, Health, HealthError, Reason, parse_bind
from kiqdoctor.runtime.openmetrics import OPENMETRICS, Metric, Sample, by_label, exposition
from kiqdoctor.runtime.state import FETCH_STALE, REDIS_STALE, Figures, Pulse, worker_metrics


def fine() -> str | None:
    return None


def nothing() -> Iterable[Metric]:
    return ()


@contextmanager
def serving(live: Reason = fine, ready: Reason = fine, told: list[str] | None = None) -> Iterator[Health]:
    warn = (told if told is not None else []).append
    health = Health("0", live=live, ready=ready, metrics=lambda: worker_metrics(FIGURES), warn=warn)
    health.start()
    try:
        yield health
    finally:
        health.stop()


def ask(health: Health, path: str, method: str = "GET") -> tuple[int, str, dict[str, str]]:
    with closing(http.client.HTTPConnection(health.address, timeout=10)) as connection:
        connection.request(method, path)
        reply = connection.getresponse()
        return reply.status, reply.read().decode(), dict(reply.getheaders())


def dial(health: Health) -> socket.socket:
    host, port = health.address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=10)


def said(health: Health, raw: bytes) -> bytes:
    with dial(health) as connection:
        connection.sendall(raw)
        return b"".join(iter(lambda: connection.recv(4096), b""))


FIGURES = Figures(
    processed=0,
    failed=0,
    threads={"running": 2},
    prefetched=0,
    rtt_s=0.00025,
    rss_bytes=1024,
    started_at=1700000000.5,
    quiet=False,
)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/livez?verbose=1"])
def test_all_is_well(path: str) -> None:
    with serving() as health:
        status, body, headers = ask(health, path)

    assert (status, body) == (200, "ok\n")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Server"] == "kiqdoctor"


def test_a_reason_makes_503_of_its_own_probe_alone() -> None:
    with serving(live=lambda: "threads ended: kiq\x1b[2J", ready=fine) as health:
        assert ask(health, "/livez")[:2] == (503, "threads ended: kiq␛[2J\n")
        assert ask(health, "/readyz")[0] == 200


def test_the_answer_is_asked_for_each_time() -> None:
    reasons: list[str | None] = [None, "quiet", None]
    with serving(ready=lambda: reasons.pop(0)) as health:
        assert [ask(health, "/readyz")[0] for _ in range(3)] == [200, 503, 200]


def test_head_is_get_without_a_body() -> None:
    with serving(live=lambda: "no") as health:
        status, body, headers = ask(health, "/livez", "HEAD")

    assert (status, body, headers["Content-Length"]) == (503, "", "3")


def test_other_paths_and_methods_are_refused() -> None:
    with serving() as health:
        assert ask(health, "/")[0] == 404
        assert ask(health, "/livez/")[0] == 404
        status, _, headers = ask(health, "/livez", "POST")

    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_what_raises_is_told_to_the_log_and_not_to_the_caller() -> None:
    def broken() -> str | None:
        raise RuntimeError("redis://:secret@host")

    told: list[str] = []
    with serving(live=broken, told=told) as health:
        status, body, _ = ask(health, "/livez")

    assert status == 500
    assert "secret" not in body
    assert "RuntimeError" not in body
    assert told == ["health: /livez: RuntimeError: redis://***@host"]


def test_metrics_are_openmetrics_with_zeros() -> None:
    with serving() as health:
        status, body, headers = ask(health, "/metrics")

    assert (status, headers["Content-Type"]) == (200, OPENMETRICS)
    lines = body.splitlines()
    assert lines[:3] == [
        "# TYPE kiqdoctor_worker_jobs counter",
        "# HELP kiqdoctor_worker_jobs Jobs that ended, failures among them.",
        "kiqdoctor_worker_jobs_total 0",
    ]
    assert 'kiqdoctor_worker_threads{state="running"} 2' in lines
    assert 'kiqdoctor_worker_threads{state="idle"} 0' in lines
    assert "kiqdoctor_worker_redis_rtt_seconds 0.00025" in lines
    assert "kiqdoctor_worker_quiet 0" in lines
    assert body.endswith("\n# EOF\n")


def test_a_request_without_an_end_is_too_large() -> None:
    with serving() as health:
        with suppress(ConnectionResetError):  # it hangs up on what it will not read
            answer = said(health, b"GET /livez HTTP/1.1\r\nX: " + b"x" * 2 * REQUEST_LIMIT)
            assert answer.startswith(b"HTTP/1.0 431 ")

        assert ask(health, "/livez")[0] == 200


@pytest.mark.parametrize("raw", [b"GET /livez HTTP/9.x\r\n\r\n", b"GET <b>/livez</b> a b\r\n\r\n", b"\xff\xfe\r\n\r\n"])
def test_what_is_no_http_is_refused_without_an_echo(raw: bytes) -> None:
    with serving() as health:
        answer = said(health, raw)

        assert b"400" in answer or answer == b"Bad Request\n"
        assert b"<b>" not in answer
        assert ask(health, "/livez")[0] == 200


def test_callers_that_hang_up_or_say_nothing_leave_no_trace(capfd: pytest.CaptureFixture[str]) -> None:
    with serving() as health:
        for raw in (b"", b"\r\n\r\n", b"GET /livez HT"):
            with dial(health) as connection:
                connection.sendall(raw)
        assert ask(health, "/livez")[0] == 200

    assert capfd.readouterr() == ("", "")


def test_silent_callers_cost_no_thread_and_keep_nobody_out() -> None:
    with serving() as health:
        assert ask(health, "/livez")[0] == 200
        before = threading.active_count()
        held = [dial(health) for _ in range(200)]
        try:
            assert [ask(health, "/livez")[0] for _ in range(5)] == [200] * 5
            assert threading.active_count() == before
        finally:
            for connection in held:
                connection.close()


def test_one_peer_has_so_many_connections_and_the_oldest_goes() -> None:
    with serving() as health:
        held = [dial(health) for _ in range(OF_ONE_PEER + 1)]
        held[0].settimeout(10)

        assert held[0].recv(1) == b""
        for connection in held:
            connection.close()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("127.0.0.1:80", 200),
        ("[::1]:80", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
    ],
)
def test_a_name_that_was_made_to_mean_this_host_is_refused(host: str, status: int) -> None:
    with serving() as health:
        answer = said(health, f"GET /livez HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())

    assert answer.startswith(f"HTTP/1.0 {status} ".encode())


def test_a_byte_now_and_then_does_not_hold_a_thread() -> None:
    health = Health("0", live=fine, ready=fine, metrics=nothing, patience=0.1)
    health.start()

    def cut_off() -> bool:
        try:
            connection.sendall(b"x")
        except ConnectionError:
            return True
        return False

    try:
        with dial(health) as connection:
            eventually(cut_off, "the caller is cut off while it still sends")
    finally:
        health.stop()


def test_a_port_in_use_is_one_clear_line() -> None:
    with serving() as health:
        other = Health(health.address, live=fine, ready=fine, metrics=nothing)
        with pytest.raises(HealthError, match=rf"^cannot answer .* on {health.address}: Address already in use$"):
            other.start()
        other.stop()


def test_stopped_it_listens_no_more_and_its_port_is_free() -> None:
    with serving() as health:
        address = health.address
    again = Health(address, live=fine, ready=fine, metrics=nothing)
    again.start()
    again.stop()
    host, port = parse_bind(address)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port), timeout=10)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("7433", ("127.0.0.1", 7433)),
        (":7433", ("127.0.0.1", 7433)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:80", ("::1", 80)),
        ("worker.local:0", ("worker.local", 0)),
    ],
)
def test_where_to_listen(text: str, found: tuple[str, int]) -> None:
    assert parse_bind(text) == found


@pytest.mark.parametrize("text", ["", "localhost", "localhost:", "host:65536", "host:-1", "host:٣"])
def test_no_place_to_listen(text: str) -> None:
    with pytest.raises(HealthError, match="host:port"):
        parse_bind(text)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (Pulse(), None),
        (Pulse(fetch_age=FETCH_STALE), None),
        (Pulse(fetch_age=FETCH_STALE + 1), "no fetch came back for 31 s"),
        (Pulse(dead_threads=("kiq.lease",)), "threads ended: kiq.lease"),
        (Pulse(dead_threads=("kiq.lease",), stopping=True), None),
        (Pulse(redis_age=3600, lease_held=False), None),
    ],
)
def test_only_what_a_restart_helps_is_not_live(state: Pulse, reason: str | None) -> None:
    assert state.not_live() == reason


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (Pulse(), None),
        (Pulse(quiet=True), "quiet"),
        (Pulse(quiet=True, stopping=True), "stopping"),
        (Pulse(lease_held=False), "the lease is not held"),
        (Pulse(redis_age=REDIS_STALE + 1), "Redis has not answered for 16 s"),
    ],
)
def test_what_takes_no_jobs_is_not_ready(state: Pulse, reason: str | None) -> None:
    assert state.not_ready() == reason


def test_label_values_and_help_are_escaped() -> None:
    metric = Metric("a", "gauge", 'say "\n"', (Sample(1, (("q", 'x"} 1\n# EOF\\\ud800'),)),))

    assert exposition([metric]) == (
        '# TYPE a gauge\n# HELP a say \\"\\n\\"\na{q="x\\"} 1\\n# EOF\\\\\\\\ud800"} 1\n# EOF\n'
    )


@pytest.mark.parametrize(
    ("value", "spelt"),
    [
        (0.0, "0"),
        (2.5, "2.5"),
        (True, "1"),
        (math.nan, "NaN"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (1e-9, "1e-09"),
    ],
)
def test_numbers(value: float, spelt: str) -> None:
    assert f"a {spelt}" in exposition([Metric("a", "gauge", "h", (Sample(value),))]).splitlines()


def test_every_known_state_has_its_zero() -> None:
    made = by_label(Metric("a", "gauge", "h"), "state", {"odd": 3}, ["idle", "running"])

    assert [(one.labels, one.value) for one in made.samples] == [
        ((("state", "idle"),), 0),
        ((("state", "running"),), 0),
        ((("state", "odd"),), 3),
    ]


@pytest.mark.parametrize("label", ["jid", "args", "__name__", "a-b", ""])
def test_a_label_that_grows_with_the_jobs_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="no label for a"):
        Metric("a", "gauge", "h", (Sample(1, ((label, "x"),)),))


@pytest.mark.parametrize("name", ["jobs_total", "a b", "9a", ""])
def test_a_name_that_spoils_the_exposition_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        Metric(name, "counter", "h")
