"""What a server sends is looked at before anything is allocated for it, and is waited for within one time."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from doctoring import check
from hypothesis import given
from hypothesis import strategies as st

from kiqdoctor.resp import MOST_BYTES, MOST_MEMBERS, Guard, OversizeError

VALUES = st.recursive(
    st.binary(max_size=30) | st.integers(-9, 9**9) | st.none() | st.just(b"x\r\n*2000000000\r\n$99999999999\r\n"),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=30,
)


def spelt(value: object) -> bytes:
    """RESP2."""
    if isinstance(value, bytes):
        return b"$%d\r\n%s\r\n" % (len(value), value)
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(map(spelt, value))
    return b":%d\r\n" % value if isinstance(value, int) else b"$-1\r\n"


def fed(raw: bytes, step: int) -> None:
    guard = Guard()
    for start in range(0, len(raw), step):
        guard.admit(raw[start : start + step])


@given(st.lists(VALUES, min_size=1, max_size=6), st.integers(1, 40))
def test_what_an_honest_server_sends_passes_however_it_is_cut(values: list[object], step: int) -> None:
    fed(b"".join(map(spelt, values)), step)


@given(
    st.lists(VALUES, max_size=3),
    st.integers(1, 40),
    st.sampled_from([b"*", b"$", b"%", b"~", b">"]),
    st.integers(0, 30),
)
def test_what_announces_too_much_does_not(values: list[object], step: int, kind: bytes, digits: int) -> None:
    too_much = b"%s%d\r\n" % (kind, max(MOST_BYTES, MOST_MEMBERS) + 1 + 10**digits)

    with pytest.raises(OversizeError):
        fed(b"".join(map(spelt, values)) + too_much, step)


def test_neither_do_many_that_are_each_modest() -> None:
    with pytest.raises(OversizeError):
        fed(b"*9999\r\n" * 1_000, 7)


@contextmanager
def serving(first: bytes, then: bytes, pause: float) -> Iterator[str]:
    """A server that answers with these bytes, and goes on with others, one a ``pause``."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    def talk(connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(1_000)
                connection.sendall(first)
                while then and not over.wait(pause):
                    connection.sendall(then)
                over.wait(60)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    finally:
        over.set()
        listener.close()


@pytest.mark.parametrize(
    ("first", "then", "pause"),
    [
        (b"*2000000000\r\n", b"", 1),
        (b"$9000000000\r\n", b"x" * 65_536, 0.0),
        (b"*1\r\n" * 100, b"*9999\r\n" * 100, 0.0),
        (b"+", b"a" * 65_536, 0.0),
        (b"+", b"a", 0.5),
    ],
    ids=["members", "bytes", "nested", "endless line", "a byte now and then"],
)
def test_the_examination_ends_and_says_so(first: bytes, then: bytes, pause: float) -> None:
    with serving(first, then, pause) as url:
        found = check(url)

    assert found.status == 3
    assert found.outcome("RED001") == "fail"
