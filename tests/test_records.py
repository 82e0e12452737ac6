"""Our frozen record is the library's, but for what it costs to make one."""

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, field, fields, replace
from functools import cached_property
from typing import Any, Generic, TypeVar

import pytest

from kiqdoctor import records
from kiqdoctor.doctor.facts.queues import Queue

Value = TypeVar("Value")


def made(by: Callable[..., Any]) -> Any:
    @by(frozen=True, slots=True)
    class Job:
        """A job."""

        jid: str
        queue: str = "default"
        args: tuple[int, ...] = ()
        tags: list[str] = field(default_factory=list)

        @property
        def short(self) -> str:
            return self.jid[:4]

    return Job


def defined(by: Callable[..., Any]) -> Any:
    @by(frozen=True, slots=True)
    class Own:
        name: str

        def __post_init__(self) -> None:
            if not self.name:
                raise ValueError("a name is needed")

        def __repr__(self) -> str:
            return "own"

        def __hash__(self) -> int:
            return 7

    return Own


@pytest.fixture(params=[records.dataclass, dataclasses.dataclass], ids=["ours", "the library's"])
def job(request: pytest.FixtureRequest) -> Any:
    return made(request.param)


def test_values(job: Any) -> None:
    one = job("ab12cd", tags=["x"])

    assert one == job("ab12cd", "default", (), ["x"]) != job("other")
    assert one != ("ab12cd", "default", (), ["x"])
    assert repr(one) == "made.<locals>.Job(jid='ab12cd', queue='default', args=(), tags=['x'])"
    assert one.short == "ab12"
    assert job("a").tags is not job("a").tags
    assert hash(Queue("a", 1)) == hash(Queue("a", 1)) != hash(Queue("b", 1))
    assert {"jid", "tags"} < asdict(one).keys()
    assert [each.name for each in fields(job)] == ["jid", "queue", "args", "tags"]
    assert replace(one, queue="low") == job("ab12cd", "low", tags=["x"])
    assert copy.deepcopy(one) == one
    assert [*inspect.signature(job).parameters] == ["jid", "queue", "args", "tags"]
    assert inspect.signature(job).parameters["args"].annotation == tuple[int, ...]
    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'jid'"):
        job()
    assert job.__match_args__ == ("jid", "queue", "args", "tags")


def test_it_is_frozen_and_has_slots(job: Any) -> None:
    one = job("a")

    with pytest.raises(FrozenInstanceError):
        one.jid = "b"
    with pytest.raises((FrozenInstanceError, TypeError)):  # the latter is the library's slip, up to Python 3.12
        one.new = "b"
    with pytest.raises(FrozenInstanceError):
        del one.jid
    assert not hasattr(one, "__dict__")
    with pytest.raises(TypeError):
        hash(one)  # its tags have none


def test_what_the_class_says_itself_stays() -> None:
    for by in (records.dataclass, dataclasses.dataclass):
        own = defined(by)
        assert repr(own("a")) == "own"
        assert hash(own("a")) == 7
        assert own("a") != own("b")
        with pytest.raises(ValueError, match="a name is needed"):
            own("")


@pytest.mark.parametrize("by", [records.dataclass, dataclasses.dataclass], ids=["ours", "the library's"])
@pytest.mark.parametrize("slots", [True, False])
def test_one_that_may_change(by: Callable[..., Any], slots: bool) -> None:
    @by(slots=slots)
    class Tally:
        name: str
        seen: int = 0
        parts: list[str] = field(default_factory=list)

    tally: Any = Tally
    one, other = tally("a"), tally("a")
    one.seen = 2
    one.parts.append("x")

    assert other.parts == []
    assert one != other
    assert one == copy.deepcopy(one) == replace(one) == tally("a", 2, ["x"])
    assert repr(one).endswith("Tally(name='a', seen=2, parts=['x'])")
    assert hasattr(one, "__dict__") is not slots
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


@pytest.mark.parametrize("by", [records.dataclass, dataclasses.dataclass], ids=["ours", "the library's"])
def test_a_frozen_one_without_slots_keeps_what_is_reckoned_once(by: Callable[..., Any]) -> None:
    @by(frozen=True)
    class Tally:
        parts: tuple[int, ...]

        @cached_property
        def total(self) -> int:
            return sum(self.parts)

    tally: Any = Tally
    one = tally((1, 2))

    assert one.total == 3
    assert one.__dict__["total"] == 3
    assert one == copy.copy(one) == tally((1, 2))
    assert hash(one) == hash(tally((1, 2)))
    with pytest.raises(FrozenInstanceError):
        one.parts = ()


@pytest.mark.parametrize("by", [records.dataclass, dataclasses.dataclass], ids=["ours", "the library's"])
def test_a_generic_one(by: Callable[..., Any]) -> None:
    @by(frozen=True, slots=True)
    class Pair(Generic[Value]):
        first: Value
        last: Value

    pair: Any = Pair

    assert pair(1, 2) == replace(pair(0, 2), first=1)
    assert [one.name for one in fields(pair)] == ["first", "last"]
    assert pair[int].__args__ == (int,)
    assert not hasattr(pair(1, 2), "__dict__")


def test_what_says_more_is_the_librarys() -> None:
    @records.dataclass(frozen=True, slots=True)
    class Door:
        password: str = field(default="", repr=False)

    assert "hunter2" not in repr(Door("hunter2"))


def test_a_recorded_value_is_pickled() -> None:
    assert pickle.loads(pickle.dumps(Queue("a", 1))) == Queue("a", 1)
