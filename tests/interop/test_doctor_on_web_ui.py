"""WEB001 to WEB004 on the real web UI of each Sidekiq under puma, behind a real nginx: sound, and broken each way."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis as redis_py
import web
from doctoring import Examination, check
from ruby import Sidekiq, require
from servers import RedisServer
from states import beat, push

from kiqdoctor.wire.keys import Keys

pytestmark = pytest.mark.ruby

LOGIN = "auth_basic here; auth_basic_user_file users;"
USER = ("--web-user", "ops:pw")


@pytest.fixture(scope="module", params=[6, pytest.param(7, marks=pytest.mark.long), 8], ids="sidekiq{}".format)
def sidekiq(request: pytest.FixtureRequest) -> Sidekiq:
    """The oldest and the newest; what is between them has the oldest's forms and the newest's pages."""
    return require(request.param)


@pytest.fixture(scope="module")
def redis_of_ui() -> Iterator[RedisServer]:
    with RedisServer.start() as server, server.client() as client:
        beat(client, ttl=3600)  # or a visit removes it from the set
        push(client)
        client.set("stat:processed", 40)
        yield server


@pytest.fixture(scope="module")
def ui(sidekiq: Sidekiq, redis_of_ui: RedisServer) -> Iterator[str]:
    """The UI with all its files, mounted at /sidekiq, open to whoever reaches it."""
    with web.puma(sidekiq, redis_of_ui.url, mount="/sidekiq") as address:
        yield address


def passed(ui: str, more: str = "") -> str:
    """The whole prefix goes to the UI, with the host that the browser named."""
    return f"location ^~ /sidekiq {{ proxy_pass {ui}; proxy_set_header Host $http_host; {more} }}"


def visited(redis: RedisServer, address: str, *words: str) -> Examination:
    return check(redis.url, "--select", "WEB", "--web", address, *words)


def outcomes(found: Examination) -> dict[str, Any]:
    return {one["check"]: one["outcome"] for one in found.report["results"]}


def keys(found: Examination, check: str) -> list[str]:
    return [one["fingerprint"].rpartition(":")[2] for one in found.result(check)["findings"]]


def kept(client: redis_py.Redis) -> dict[bytes, bytes | None]:
    """All that is in Redis but Sidekiq's own mark, from 7 on, that /busy was looked at within the minute."""
    return {key: client.dump(key) for key in client.scan_iter() if key != Keys().cleanup.encode()}


def test_a_sound_one_behind_a_login(ui: str, redis_of_ui: RedisServer) -> None:
    with web.nginx(passed(ui, LOGIN)) as proxy:
        found = visited(redis_of_ui, f"{proxy.url}/sidekiq", *USER, "--web-post")
        stranger = visited(redis_of_ui, f"{proxy.url}/sidekiq")
        wrong = visited(redis_of_ui, f"{proxy.url}/sidekiq", "--web-user", "ops:wrong")

    assert set(outcomes(found).values()) == {"pass"}, found.out
    assert "ops:pw" not in found.out
    assert outcomes(stranger) == {"WEB001": "pass", "WEB002": "unknown", "WEB003": "unknown", "WEB004": "unknown"}
    assert "--web-user" in stranger.result("WEB002")["reason"]
    assert outcomes(wrong)["WEB004"] == "unknown"


def test_one_without_a_login_and_nothing_is_posted_unless_it_is_allowed(ui: str, redis_of_ui: RedisServer) -> None:
    with web.nginx(passed(ui)) as proxy:
        found = visited(redis_of_ui, f"{proxy.url}/sidekiq/")
        asked = proxy.asked()

    assert found.severities("WEB001") == ["high"]  # critical from anywhere but loopback
    assert outcomes(found)["WEB002"] == outcomes(found)["WEB004"] == "pass"
    assert "--web-post" in found.result("WEB003")["reason"]
    assert {one.partition(" ")[0] for one in asked} == {"GET"}
    assert not any("/busy" in one for one in asked)


def test_css_and_js_that_a_location_by_extension_takes_away(ui: str, redis_of_ui: RedisServer) -> None:
    by_extension = f"location /sidekiq {{ proxy_pass {ui}; }} location ~* \\.(css|js)$ {{ expires 1d; }}"
    with web.nginx(by_extension) as proxy:
        found = visited(redis_of_ui, f"{proxy.url}/sidekiq")

    assert keys(found, "WEB002") == ["extension"]


def test_a_prefix_that_the_application_does_not_know(ui: str, redis_of_ui: RedisServer) -> None:
    with web.nginx(f"location /admin/jobs/ {{ proxy_pass {ui}/sidekiq/; }}") as proxy:
        found = visited(redis_of_ui, f"{proxy.url}/admin/jobs/")

    assert keys(found, "WEB002") == ["prefix"]


def test_files_that_are_sent_in_another_proxy_s_dialect(sidekiq: Sidekiq, redis_of_ui: RedisServer) -> None:
    with web.puma(sidekiq, redis_of_ui.url, mount="/sidekiq", sendfile="X-Sendfile") as ui, web.nginx(passed(ui)) as at:
        found = check(redis_of_ui.url, "--select", "WEB002", "--web", f"{at.url}/sidekiq")

    assert keys(found, "WEB002") == ["sendfile"]


def test_files_that_debian_s_package_lacks(sidekiq: Sidekiq, redis_of_ui: RedisServer) -> None:
    with web.puma(sidekiq, redis_of_ui.url, whole=False) as ui:
        found = check(redis_of_ui.url, "--select", "WEB002", "--web", ui)

    assert keys(found, "WEB002") == ["missing"]
    lacking = {one["label"] for one in found.result("WEB002")["findings"][0]["evidence"]}
    assert {"/javascripts/application.js", "/javascripts/dashboard.js"} <= lacking


def test_buttons_that_a_proxy_forbids(ui: str, sidekiq: Sidekiq, redis_of_ui: RedisServer) -> None:
    drops = 'proxy_set_header Cookie "";' if sidekiq.major < 8 else 'proxy_set_header Sec-Fetch-Site "";'
    with redis_of_ui.client() as client:
        before = kept(client)
        with web.nginx(passed(ui, drops)) as proxy:
            dropped = visited(redis_of_ui, f"{proxy.url}/sidekiq", "--web-post")
        with web.nginx(passed(ui, "limit_except GET { deny all; }")) as proxy:
            denied = visited(redis_of_ui, f"{proxy.url}/sidekiq", "--web-post")
        after = kept(client)

    assert dropped.severities("WEB003") == denied.severities("WEB003") == ["medium"]
    assert denied.result("WEB003")["findings"][0]["title"].endswith("nginx answers 403 itself")
    assert after == before


def test_one_of_another_redis(ui: str, redis_of_ui: RedisServer) -> None:
    with RedisServer.start() as other:
        with other.client() as client:
            client.set("stat:processed", 7)
        found = visited(other, f"{ui}/sidekiq")

    assert found.severities("WEB004") == ["high"]
    assert "says 40 processed, and Redis 7" in found.result("WEB004")["findings"][0]["title"]


def test_what_is_no_web_ui(redis_of_ui: RedisServer) -> None:
    with web.nginx("location = /no { return 404; }") as proxy:
        page, nothing = visited(redis_of_ui, proxy.url), visited(redis_of_ui, f"{proxy.url}/no")
    away = visited(redis_of_ui, proxy.url)

    for found in (page, nothing, away):
        assert set(outcomes(found).values()) == {"unknown"}
