"""`--redis redis+sentinel://...`: the primary is examined that the sentinels tell."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from doctoring import check, kiqdoctor
from servers import RedisServer, eventually, free_port, sentinel
from states import push

from kiqdoctor import sentinels
from kiqdoctor.sentinels import SentinelError

SECRET = "hunter2-is-no-word"


@pytest.fixture(scope="module")
def primary() -> Iterator[RedisServer]:
    with RedisServer.start(password=SECRET) as server, server.client() as client:
        push(client, count=5)
        yield server


@pytest.fixture(scope="module")
def url(primary: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The first sentinel is not there."""
    with sentinel(primary, tmp_path_factory.mktemp("sentinel")) as port:
        found = f"redis+sentinel://:{SECRET}@127.0.0.1:{free_port()},127.0.0.1:{port}/main/0"
        eventually(lambda: _told(found))
        yield found


def _told(url: str) -> bool:
    try:
        return bool(sentinels.primary(url, 3.0))
    except SentinelError:
        return False


def test_the_primary_is_examined(primary: RedisServer, url: str) -> None:
    found, direct = check(url), check(f"redis://:{SECRET}@127.0.0.1:{primary.port}/0")

    assert found.outcome("RED001") == "pass"
    assert {one["check"]: one["outcome"] for one in found.report["results"] if one["findings"]} == {
        one["check"]: one["outcome"] for one in direct.report["results"] if one["findings"]
    }
    assert found.report["target"]["redis"].startswith("redis+sentinel://127.0.0.1:")
    assert SECRET not in found.out + found.err


def test_beside_another_redis(url: str) -> None:
    with RedisServer.start() as other:
        found = check(url, "--redis", other.url, "--select", "RED001,QUE001")

    assert found.outcome("RED001") == "pass"


@pytest.mark.parametrize("service", ["nobody", "main"])
def test_where_no_sentinel_tells_it_redis_is_unreachable(url: str, service: str) -> None:
    nobody = f"redis+sentinel://127.0.0.1:{free_port()}/main"

    found = check(url.replace("/main/", "/nobody/") if service == "nobody" else nobody)

    assert found.outcome("RED001") == "fail"
    [finding] = found.result("RED001")["findings"]
    assert f"sentinel failed (3 tries): no sentinel tells where {service} is" in finding["title"]


def test_an_address_that_cannot_be_one_is_a_usage_error(tmp_path: Path) -> None:
    ran = kiqdoctor("check", "--live", "--redis", f"redis+sentinel://:{SECRET}@:1/")

    assert ran.status == 2
    assert "not a Sentinel URL" in ran.err
    assert SECRET not in ran.err
