"""The helpers that the other tests stand on."""

import redis as redis_py
from servers import RedisServer


def test_the_fixture_is_a_flushed_server(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    assert redis.dbsize() == 0
    redis.set("left", "over")
    assert f":{redis_server.port}/" in redis_server.url


def test_own_settings_and_a_restart_on_the_same_port() -> None:
    with RedisServer.start({"maxclients": "50"}, password="secret") as server:
        port = server.port
        server.down()
        server.up()
        assert server.port == port
        with server.client() as client:
            assert client.config_get("maxclients")
