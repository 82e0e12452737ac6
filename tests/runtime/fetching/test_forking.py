"""A child after fork touches nothing of its parent."""

import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from fetching import KEYS, RETRY, Start, bytes_of, jobs, push, told

from kiqdoctor.runtime.forking import ForkedError


def in_child(act: Callable[[], str]) -> str:
    """What it says in a child after fork."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(writer, act().encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with os.fdopen(reader) as file:
        return file.read()


def tried(act: Callable[[], Any]) -> str:
    try:
        return f"did it: {act()}"
    except ForkedError as error:
        return f"ForkedError: {error}"
    except Exception as error:  # noqa: BLE001 - a child must say what it met
        return f"{type(error).__name__}: {error}"


def test_a_child_after_fork_touches_nothing_of_its_parent(redis: Any, start: Start) -> None:
    process, pushed = start(), jobs(4)
    push(redis, *pushed)
    process.fetch.pace.want = 3
    running = process.take()
    assert running is not None

    acts: list[Callable[[], Any]] = [
        lambda: process.fetch.take(0),
        lambda: process.fetch.send_on(running, RETRY),
        lambda: process.fetch.give_back([running]),
        process.fetch.close,
        process.lease.renew,
        process.lease.release,
        process.lease.reclaim,
    ]
    for act in acts:
        assert "ForkedError" in in_child(partial(tried, act)), act

    assert redis.exists(KEYS.lease(process.identity))
    rest = process.take_all()
    assert bytes_of([running, *rest]) == Counter(pushed)
    process.fetch.done(running)
    told(process)
    assert process.held(redis) == bytes_of(rest)
