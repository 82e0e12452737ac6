"""What the log says of a failure is what Python says, cleaned."""

import traceback
from collections.abc import Callable

import pytest

from kiqdoctor.runtime import tracing
from kiqdoctor.runtime.tracing import SHOWN, traced


class OddError(Exception):
    def __str__(self) -> str:
        return "two\nlines" if self.args else ""


def raises() -> None:
    raise ValueError("no")


def deep(count: int) -> None:
    if count:
        deep(count - 1)
    raise OddError(1)


def chained() -> None:
    try:
        raises()
    except ValueError as error:
        raise OddError from error


def beside() -> None:
    try:
        raises()
    finally:
        raise OddError("another")


def hidden() -> None:
    try:
        raises()
    except ValueError:
        raise OddError from None


def noted() -> None:
    error = OddError(1)
    error.add_note("and this")
    raise error


def grouped() -> None:
    raise ExceptionGroup("several", [ValueError("one"), OddError()])


def misspelt() -> None:
    raise NameError("name 'raise' is not defined", name="raise_")


def caught(call: Callable[[], None]) -> BaseException:
    with pytest.raises(BaseException) as found:  # noqa: PT011 - whatever it is
        call()
    return found.value


@pytest.mark.parametrize("call", [raises, chained, beside, hidden, noted, grouped, misspelt, lambda: deep(2)])
def test_it_is_what_python_says(call: Callable[[], None]) -> None:
    for _ in range(2):  # the second time its lines are known
        error = caught(call)
        assert traced(error) == "".join(traceback.format_exception(error)).rstrip()


def test_of_a_long_one_the_end() -> None:
    told = traced(caught(lambda: deep(200))).split("\n")
    assert len(told) == SHOWN
    assert told[-2:] == [f"{__name__}.OddError: two", "lines"]


def test_secrets_and_control_characters_are_not_shown() -> None:
    def leaks() -> None:
        raise ValueError("password=hunter22 \x1b[31m")

    told = traced(caught(leaks))
    assert "hunter22" not in told.rpartition("\n")[2]
    assert "\x1b" not in told


def test_what_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "KNOWN", 1)
    error = caught(chained)
    error.__cause__ = None
    error.__suppress_context__ = True
    assert traced(error) == "".join(traceback.format_exception(error)).rstrip()


class OddText(str):
    """What may not be asked for its hash, nor anything else."""

    __slots__ = ()

    def __hash__(self) -> int:
        raise TypeError

    def __len__(self) -> int:
        raise TypeError


def test_a_message_of_a_kind_of_its_own() -> None:
    class OwnError(Exception):
        def __str__(self) -> str:
            return OddText("mine")

    def raises() -> None:
        raise OwnError

    assert traced(caught(raises)).endswith("OwnError: mine")


def test_what_is_long_or_deep_is_not_kept() -> None:
    def talks() -> None:
        raise ValueError("x" * 10_000)

    before = len(tracing._said), len(tracing._ways)
    assert len(traced(caught(talks)).split("\n")) <= SHOWN
    traced(caught(lambda: deep(100)))
    traced(caught(lambda: deep(101)))
    assert len(tracing._said) <= before[0] + 1  # the words of the deep ones are short
    assert len(tracing._ways) == before[1] + 1
