"""Addresses by CONTRACT.md's order and without secrets; a connection that only reads."""

import pytest

from kiqdoctor.connection import ReadOnlyConnection, UrlError, WriteRefusedError, command_name, resolve_url


def test_the_order_of_the_sources() -> None:
    environ = {
        "KIQDOCTOR_REDIS_URL": "redis://kiq",
        "REDIS_PROVIDER": "MY_URL",
        "MY_URL": "redis://mine",
        "REDIS_URL": "redis://plain",
    }

    assert resolve_url("redis://option", environ).url == "redis://option"
    assert resolve_url(None, environ).source == "KIQDOCTOR_REDIS_URL"
    del environ["KIQDOCTOR_REDIS_URL"]
    assert resolve_url(None, environ).url == "redis://mine"
    del environ["MY_URL"]
    assert resolve_url(None, environ).url == "redis://plain"
    assert resolve_url(None, {}).url == "redis://localhost:6379/0"
    assert [resolve_url(None, {}).named, resolve_url(None, environ).named] == [False, True]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:secret@host:7000/3?ssl_cert_reqs=none", "redis://host:7000/3"),
        ("rediss://:secret@[::1]/2", "rediss://[::1]:6379/2"),
        ("unix://user:secret@/run/redis.sock?db=4", "unix:///run/redis.sock?db=4"),
        ("redis://host", "redis://host:6379/0"),
    ],
)
def test_what_is_shown_has_no_secret(url: str, shown: str) -> None:
    assert resolve_url(url, {}).shown == shown


@pytest.mark.parametrize(
    "url",
    [
        "http://host",
        "host:6379",
        "redis://host:99999",
        "redis://host:x/0",
        "redis://host/abc",
        "unix://",
        "redis://[::1",
    ],
)
def test_a_wrong_url_is_one_clear_line(url: str) -> None:
    with pytest.raises(UrlError) as caught:
        resolve_url(url, {})

    assert "not a Redis URL (from --redis)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_password_in_a_wrong_url_is_not_repeated() -> None:
    with pytest.raises(UrlError) as caught:
        resolve_url("redis://user:hunter2@host:hunter2/0", {})

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "command", [["DEL", "x"], ["KEYS", "*"], ["CLIENT", "KILL", "ID", 3], ["CONFIG", "SET", "a", "b"], ["EVAL", "x", 0]]
)
def test_the_doctor_sends_nothing_that_writes(command: list[str | bytes | float]) -> None:
    connection = ReadOnlyConnection(resolve_url("redis://localhost:1/0", {}))

    with pytest.raises(WriteRefusedError):
        connection.exchange([["PING"], command])


def test_a_subcommand_is_part_of_the_name() -> None:
    assert command_name(["client", b"list"]) == "CLIENT|LIST"
    assert command_name(["get", "x"]) == "GET"
