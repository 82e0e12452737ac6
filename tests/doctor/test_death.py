"""What proves a death, and where the same host name and number are somebody else's."""

from dataclasses import replace

import pytest
from healthy.fleet import WORKER
from healthy.host import LOCAL
from healthy.moment import NOW

from kiqdoctor.doctor.death import FIRST_NAMES, FIRST_PIDS, proofs_of_death
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import LocalProcesses

GONE = replace(WORKER, identity="web-1:4800:aabbccddeeff", pid=4800)
HOST = LocalProcesses(
    "web-1", (), pids=frozenset({1}), start_times={1: NOW - 9_999}, pid_namespace=FIRST_PIDS, uts_namespace=FIRST_NAMES
)
CONTAINER = replace(HOST, pid_namespace="pid:[4026532999]", uts_namespace="uts:[4026532998]")
NEIGHBOUR = replace(LOCAL, pid=4711, namespace_pids=(4711,))


@pytest.mark.parametrize(
    ("local", "proven"),
    [
        (HOST, True),
        (replace(HOST, pids=frozenset({1, 4800})), False),
        (CONTAINER, False),
        (replace(CONTAINER, all=(NEIGHBOUR,)), True),
        (replace(CONTAINER, all=(NEIGHBOUR,), start_times={1: NOW - 60}), False),
        (replace(CONTAINER, uts_namespace=FIRST_NAMES), True),
        (replace(CONTAINER, uts_namespace=FIRST_NAMES, start_times={1: NOW - 60}), False),
    ],
    ids=[
        "host", "lives", "a pod's other container", "whose worker runs here too", "that began after it",
        "the host's name", "and begun after it",
    ],
)  # fmt: skip
def test_whose_number_nobody_has_is_dead_where_all_numbers_are_seen(local: LocalProcesses, proven: bool) -> None:
    fleet = Fleet((WORKER, GONE), 2)

    assert bool(proofs_of_death((GONE,), fleet, local)) is proven


@pytest.mark.parametrize(("beat", "proven"), [(NOW - 100, True), (NOW - 3, False)])
def test_one_that_beats_on_beside_its_heir_lives_in_another_container(beat: float, proven: bool) -> None:
    first = replace(WORKER, identity="node:1:aaaaaaaaaaaa", hostname="node", pid=1, beat=beat)
    heir = replace(first, identity="node:1:bbbbbbbbbbbb", started_at=NOW - 50, beat=NOW - 3)

    assert bool(proofs_of_death((first,), Fleet((first, heir), 2), HOST)) is proven
