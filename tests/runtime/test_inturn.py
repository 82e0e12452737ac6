import threading
from queue import Empty, Full
from typing import Any

import pytest
from servers import eventually

from kiqdoctor.runtime.config import connect, current
from kiqdoctor.runtime.inturn import InTurn


def waiting(idle: InTurn) -> int:
    return len(idle._line)


def test_whoever_waits_has_what_comes_back_before_who_puts_it_back() -> None:
    idle, had = InTurn(1), []
    idle.put("connection")
    mine = idle.get()
    threads = []
    for number in range(3):
        threads.append(threading.Thread(target=lambda number=number: had.append((number, idle.get()))))
        threads[-1].start()
        eventually(lambda: waiting(idle) == len(threads))
    idle.put(mine)

    with pytest.raises(Empty):
        idle.get(block=False)
    for _ in range(2):
        eventually(lambda: not waiting(idle) or len(had) == 3 - waiting(idle))
        idle.put(mine)
    for thread in threads:
        thread.join()
    assert had == [(number, mine) for number in range(3)]


def test_who_waited_too_long_has_no_turn() -> None:
    idle = InTurn(2)
    with pytest.raises(Empty):
        idle.get(timeout=0.01)

    idle.put("a")
    idle.put("b")
    with pytest.raises(Full):
        idle.put_nowait("c")
    assert [idle.get_nowait(), idle.get_nowait()] == ["b", "a"]


def test_the_clients_of_a_worker_are_shared_in_turn() -> None:
    pool: Any = connect(current(), 1).connection_pool

    assert isinstance(pool.pool, InTurn)
