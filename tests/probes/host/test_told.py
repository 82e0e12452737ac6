"""Which Redis a worker of ours was told to use, by its own command."""

import pytest

from kiqdoctor.probes.host.local_processes import _namespace, _told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("kiqdoctor", "work", "shop", "--redis", "redis://u:secret@h:7000/2"), ("--redis=redis://h:7000/2",)),
        (("kiqdoctor", "work", "--redis=redis://h", "shop"), ("--redis=redis://h:6379/0",)),
        (("kiqdoctor", "work", "shop"), ()),
        (("kiqdoctor", "work", "shop", "--redis"), ()),
        (("kiqdoctor", "work", "--redis", "http://h"), ()),
    ],
)
def test_it_is_read_without_its_secret(words: tuple[str, ...], told: tuple[str, ...]) -> None:
    assert _told("\0".join(words).encode() + b"\0") == told


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--namespace", "shop"), "shop"),
        (("--namespace=shop:", "--redis", "redis://x/0"), "shop"),
        (("--namespace", "a", "--namespace=b"), "b"),
        (("--redis", "redis://x/0"), None),
    ],
)
def test_the_namespace_of_a_command(words: tuple[str, ...], named: str | None) -> None:
    assert _namespace("\0".join(("python", "-m", "kiqdoctor", "work", "app", *words)).encode() + b"\0") == named
