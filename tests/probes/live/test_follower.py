"""The follower: whose readers it finds, how often it reads each, and what the failure of one takes down."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from kiqdoctor.clock import Clock
from kiqdoctor.connection import Command
from kiqdoctor.doctor.facts.live import Counters, Depths, Metrics, SlowLog, Workers
from kiqdoctor.doctor.facts.redis import Clients, Server
from kiqdoctor.doctor.snapshot import Refused, Snapshot
from kiqdoctor.probes.live.follower import Follower, rhythms
from kiqdoctor.probes.live.reader import LiveReader, every_reader, must

TIME = [b"1800000000", b"500000"]


@dataclass
class Redis:
    """Answers each command by its name, and keeps what it was asked, a list a round trip."""

    replies: dict[str, Any]
    asked: list[list[str]] = field(default_factory=list)
    namespace: str | None = None
    database: int = 0
    client_id: int | None = 1

    def ask(self, *command: str | bytes | float) -> Any:
        return self.ask_all([command])[0]

    def ask_all(self, commands: Sequence[Command]) -> list[Any]:
        self.asked.append([str(command[0]) for command in commands])
        return [self.replies[str(command[0])] for command in commands]


@dataclass(frozen=True)
class Often:
    value: bytes
    at: float


@dataclass(frozen=True)
class Seldom:
    said: bytes
    beside: object


class OftenReader(LiveReader):
    fact: ClassVar[type] = Often

    def asks(self) -> Sequence[Command]:
        return [("GET", "often"), ("EXISTS", "often")]

    def read(self, replies: Sequence[Any], now: float, seen: Snapshot) -> Often:
        value, _ = replies
        return Often(must(value), now)


class SeldomReader(LiveReader):
    fact: ClassVar[type] = Seldom
    every: ClassVar[float] = 30.0

    def asks(self) -> Sequence[Command]:
        return [("PING",)]

    def read(self, replies: Sequence[Any], now: float, seen: Snapshot) -> Seldom:
        return Seldom(replies[0], seen.get(Often))


class Turned:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.clock = Clock(now=lambda: self.now, monotonic=lambda: self.now, sleep=lambda _: None)


def answering(**replies: Any) -> Redis:
    return Redis({"TIME": TIME, "GET": b"1", "EXISTS": 1, "PING": b"PONG"} | replies)


@dataclass
class Slow(Redis):
    """Takes its time for each round trip."""

    turned: Turned = field(default_factory=Turned)
    takes: float = 0.0

    def ask_all(self, commands: Sequence[Command]) -> list[Any]:
        self.turned.now += self.takes
        return super().ask_all(commands)


READERS = (OftenReader, SeldomReader)
ALSO: frozenset[type] = frozenset({Seldom})


def test_every_fact_of_the_view_has_one_reader_which_says_how_often_it_is_read() -> None:
    moves: list[type] = [Server, Counters, Depths, Workers]

    assert len(every_reader()) == len(rhythms())
    assert rhythms().items() >= {**dict.fromkeys(moves, 0.0), Clients: 5.0, SlowLog: 5.0, Metrics: 30.0}.items()
    assert [reader.every for reader in every_reader()] == sorted(rhythms().values())  # others go by what moves


def test_readers_share_the_first_round_trip_and_each_gets_its_own_replies() -> None:
    redis = answering()

    seen = Follower(redis, Turned().clock, READERS).look()

    assert redis.asked == [["TIME", "GET", "EXISTS", "PING"]]
    assert seen.get(Often) == Often(b"1", 1_800_000_000.5)
    assert seen.get(Seldom) == Seldom(b"PONG", Often(b"1", 1_800_000_000.5))


def test_what_costs_more_is_read_at_first_and_then_by_its_rhythm_while_somebody_looks() -> None:
    redis, turned = answering(), Turned()
    follower = Follower(redis, turned.clock, READERS)

    def read_again(after: float, also: frozenset[type] = frozenset()) -> bool:
        turned.now += after
        redis.asked.clear()
        follower.look(also)
        return "PING" in redis.asked[0]

    assert read_again(0)
    assert not read_again(1_000)  # nobody looks
    assert read_again(1, ALSO)
    assert not read_again(29, ALSO)
    assert read_again(1, ALSO)
    assert isinstance(follower.look().get(Seldom), Seldom)  # what was read is kept


@pytest.mark.parametrize(("trip", "pause"), [(0.1, 30.0), (4.0, 80.0)])
def test_what_is_read_seldom_is_read_less_often_where_redis_is_slow(trip: float, pause: float) -> None:
    turned = Turned()
    redis = Slow(answering().replies, turned=turned, takes=trip)
    follower = Follower(redis, turned.clock, READERS)
    follower.look()
    began = turned.now - trip

    turned.now = began + pause - 1
    follower.look(ALSO)
    early = redis.asked[-1]
    turned.now = began + pause
    follower.look(ALSO)

    assert "PING" not in early
    assert "PING" in redis.asked[-1]


def test_a_reading_keeps_the_time_at_which_it_was_read() -> None:
    turned = Turned()
    follower = Follower(answering(), turned.clock, READERS)
    follower.look()
    turned.now += 7

    readings = follower.look().readings

    assert (readings[Often].at, readings[Seldom].at) == (1_007.0, 1_000.0)


def test_what_fails_takes_no_other_fact_down() -> None:
    refused = Follower(answering(GET=Refused("no permission", "+get")), Turned().clock, READERS).look()
    broken = Follower(answering(), Turned().clock, (*READERS, Broken)).look()

    assert refused.get(Often) == Refused("no permission", "+get")
    assert refused.get(Seldom) == Seldom(b"PONG", Refused("no permission", "+get"))
    assert broken.get(Odd) == Refused("Odd could not be read: ValueError: not a number")
    assert isinstance(broken.get(Often), Often)


@dataclass(frozen=True)
class Odd:
    value: int = 0


class Broken(LiveReader):
    fact: ClassVar[type] = Odd

    def read(self, replies: Sequence[Any], now: float, seen: Snapshot) -> Odd:
        raise ValueError("not a number")
