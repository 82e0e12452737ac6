"""Whatever an error has of its own, its job is tried again or among the dead, and its thread goes on."""

from collections.abc import Callable
from typing import Any, NoReturn

import pytest

import kiqdoctor
from kiqdoctor.runtime.fetching.work import FencedError
from kiqdoctor.runtime.hearing import message
from kiqdoctor.runtime.tracing import UNTOLD, traced


def raising(error: BaseException) -> Callable[..., NoReturn]:
    def raises(*_: object) -> NoReturn:
        raise error

    return raises


class OddText(str):
    """What may not be asked for its hash."""

    __slots__ = ()
    __hash__ = raising(TypeError())


class OddModule:
    """No text at all."""

    __format__ = raising(ValueError())


class Nameless(type):
    """Its classes have no names that may be asked for."""

    __module__ = property(raising(SystemExit()))


def error(**own: Any) -> Callable[[], BaseException]:
    """One with something of its own."""
    return type("OddError", (Exception,), {"__module__": "builtins", **own})


ODD: dict[str, Callable[[], BaseException]] = {
    "text": error(__str__=raising(SystemExit())),
    "attributes": error(__getattribute__=raising(ValueError())),
    "exits": error(__getattribute__=raising(SystemExit())),
    "notes": error(__notes__=property(raising(SystemExit()))),
    "kind": error(__class__=property(raising(ValueError()))),
    "false kind": error(__class__=FencedError),
    "module": error(__module__=OddModule()),
    "name": error(__qualname__=OddText("OddError")),
    "no name": Nameless("OddError", (Exception,), {}),
}


@pytest.mark.parametrize("asynchronous", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize("name", ODD)
def test_its_job_is_let_go_and_its_thread_goes_on(lab: Any, name: str, asynchronous: bool) -> None:
    done = []

    def plain() -> None:
        done.append(1)
        found = ODD[name]()
        raise found

    async def coroutine() -> None:
        plain()

    odd = kiqdoctor.job(name="Odd")(coroutine if asynchronous else plain)
    odd.perform_bulk([[], []])
    with kiqdoctor.embed(concurrency=1):
        lab.waits_for(lambda: len(lab.jobs("retry") + lab.jobs("dead")) == 2)

    assert len(done) == 2


def test_what_cannot_be_told_is_said_to_be_so() -> None:
    assert message(ODD["text"]()).startswith("!!!")
    assert [traced(ODD[name]()) for name in ("notes", "exits", "no name")] == [UNTOLD] * 3
