"""Which function a line stands in, and the locks that it takes there."""

import ast

import pytest

from kiqdoctor.probes.threads.function import around

SOURCE = """
import threading
A, B = threading.Lock(), threading.Lock()

def outer():
    with A:
        inner = lambda: (
            B.acquire()
        )
        return inner()

@decorated(lambda: A.acquire(
    timeout=1))
class Job:
    async def perform(self, first=lambda: 1):
        def nested():
            with self.lock:
                pass
        nested()

with A:
    outer()
"""


@pytest.mark.parametrize(
    ("line", "first", "locks"),
    [(6, 5, ["A"]), (8, 7, ["B"]), (10, 5, ["A"]), (12, 12, ["A"]), (15, 15, []), (17, 16, ["self.lock"]), (19, 15, []),
     (22, 0, ["A"]), (99, 0, ["A"])],
)  # fmt: skip
def test_the_innermost_function_around_a_line(line: int, first: int, locks: list[str]) -> None:
    found = around(ast.parse(SOURCE), line)

    assert (found.first, [one.lock for one in found.takings]) == (first, locks)


SIGNALS = """
class Turn:
    def __enter__(self):
        return self.lock.acquire()
    def take(self):
        while True:
            self.turn.acquire()
    def bounded(self):
        self.place.acquire()
        try:
            work()
        finally:
            self.place.release()
    def inside(self):
        with self.lock:
            work()
"""


@pytest.mark.parametrize(("line", "signalled"), [(4, None), (7, True), (9, False), (15, False), (16, False)])
def test_what_is_never_given_back_where_it_is_taken_is_a_signal(line: int, signalled: bool | None) -> None:
    assert around(ast.parse(SIGNALS), line).signalled_at(line) is signalled
