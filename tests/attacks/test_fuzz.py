"""The beginning of `python tests/support/fuzzing.py`, which goes on as long as one lets it."""

import fuzzing
import pytest
import sound
from sound import INFO, JOB, WORK


@pytest.mark.parametrize("name", fuzzing.targets())
def test_it_keeps_its_promise_whatever_it_is_fed(name: str) -> None:
    fuzzing.beginning(fuzzing.targets()[name], 12)


@pytest.mark.long
@pytest.mark.parametrize("name", sound.FILES)
def test_whatever_opens_ever_anew_ends(name: str) -> None:
    """A Ruby file of ``*a*a*a`` froze the reader of settings: a syntax tree finds a parent from its root each time."""
    for data in fuzzing.deep(name):
        fuzzing.fed(fuzzing.targets()[name], data)


@pytest.mark.real
def test_a_redis_may_hold_anything() -> None:
    with fuzzing.world() as world:
        fuzzing.beginning(fuzzing.Fuzzed((INFO, JOB, WORK), world.feed), 40)


def test_a_broken_promise_is_told() -> None:
    def crash(_: bytes) -> None:
        raise fuzzing.BrokenPromiseError

    with pytest.raises(fuzzing.BrokenPromiseError):
        fuzzing.beginning(fuzzing.Fuzzed((b"x",), crash), 1)
