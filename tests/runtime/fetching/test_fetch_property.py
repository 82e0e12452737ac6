"""Whatever happens to several processes at one Redis, in whatever order, no job is lost and none comes back.

In Redis a job only ever moves, or leaves because its run came to an end. So of each job there are never more than were
enqueued, and never fewer than those whose end was not told; hypothesis looks for an order of events in which that is
not so.
"""

import json
import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import redis as redis_py
from faults import Proxy
from fetching import FETCH, KEYS, LEAVE, Process, payload, push
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from servers import RedisServer

from kiqdoctor.runtime.endings import End, Ending, Step
from kiqdoctor.runtime.fetching.work import FencedError, Work
from kiqdoctor.runtime.recover import LATE, Recovery

QUEUES: Final = ("default", "other")
TWINS: Final = ("twin", "")  # jobs that are enqueued more than once, with equal bytes; and others
PROCESSES: Final = 2
EXAMPLES: Final = int(os.environ.get("KIQDOCTOR_TEST_EXAMPLES", "40"))
MATCHES: Final = (b"BLMOVE", b"LLEN", b"LRANGE", b"EXPIRE", b"kiq:index", b"UNBLOCK")
LOST: Final = (redis_py.ConnectionError, redis_py.TimeoutError)

processes = st.integers(0, PROCESSES - 1)
queues = st.sampled_from(QUEUES)
twins = st.sampled_from(TWINS)
numbers = st.integers(0, 11)
cuts = st.sampled_from(("", "", "lose", "refuse"))


@dataclass(eq=False)
class Seat:
    """A process, and what its threads have in hand."""

    process: Process
    recovery: Recovery
    running: list[Work] = field(default_factory=list)
    failing: list[tuple[Work, Ending]] = field(default_factory=list)
    told: list[Work] = field(default_factory=list)  # ended; that Redis heard of it is not known yet
    knows: bool = True  # that its lease is gone, where it is


def jid(raw: bytes) -> str:
    found: str = json.loads(raw[raw.index(b"{") :])["jid"]
    return found


class Fleet(RuleBasedStateMachine):
    """Threads take turns here; what happens between two commands, the proxy does."""

    server: RedisServer

    def __init__(self) -> None:
        super().__init__()
        self.redis: Any = self.server.client()
        self.redis.flushdb()
        self.proxying = Proxy.start(self.server.port)
        self.proxy = self.proxying.__enter__()
        self.enqueued: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()  # runs that came to an end, whether Redis knows it or not
        self.left: Counter[str] = Counter()  # those of which Redis is known to know
        self.peaceful = True  # nobody was taken for dead so far
        self.count = 0
        self.seats: list[Seat] = []

    @initialize()
    def begin(self) -> None:
        """Everybody is at work: what can go wrong needs jobs that run."""
        self.seats = [self.new() for _ in range(PROCESSES)]
        for who in range(PROCESSES):
            self.enqueue("default", "twin", 3)
            self.take(who, 0, 0, 3, "")

    def new(self) -> Seat:
        with self.proxy.calm():
            process = Process(self.proxy.url, tuple((name, 0) for name in QUEUES))
        return Seat(process, process.recovery())

    # -- jobs ------------------------------------------------------------------------------------------------------

    @rule(queue=queues, twin=twins, many=st.integers(1, 4))
    def enqueue(self, queue: str, twin: str, many: int) -> None:
        for _ in range(many):
            self.count += 1
            name = f"{twin} in {queue}" if twin else f"job {self.count}"
            push(self.redis, payload("Job", name, queue=queue), queue=queue)
            self.enqueued[name] += 1

    @rule(
        who=processes,
        thread=st.integers(0, 1),
        ahead=st.sampled_from((0, 0, 2, 5)),
        times=st.integers(1, 3),
        cut=cuts,
        short=st.booleans(),
    )
    def take(self, who: int, thread: int, ahead: int, times: int, cut: str, short: bool = False) -> None:
        """``short``: the thread that asks for more goes on meanwhile."""
        seat = self.seats[who]
        if ahead:
            pace = seat.process.fetch.pace
            pace.want = ahead
            if short:
                pace.low, pace.alone = ahead, True
        if not any(self.redis.llen(KEYS.queue(name)) for name in QUEUES):
            self.enqueue("default", "twin", 2)
        self.cut(cut, FETCH)
        for _ in range(times):
            self.take_one(who, thread)

    def take_one(self, who: int, thread: int) -> None:
        seat = self.seats[who]
        work = self.asked(seat, lambda: seat.process.take(thread))
        if work is None:
            return
        if seat.process.clock.boottime() >= seat.process.lease.good_until:
            seat.process.fetch.put_back(work)  # as a processor does it
            self.regain(who)
        else:
            if seat.knows:
                assert work.payload in self.redis.lrange(work.home.key, 0, -1), "it starts what is somebody else's"
            seat.running.append(work)

    @rule(which=numbers, many=st.integers(1, 3), tells=st.booleans(), cut=cuts)
    def end(self, which: int, many: int, tells: bool, cut: str) -> None:
        seat = self.busy(which)
        for work in [self.drawn(which, seat) for _ in range(min(many, len(seat.running)))]:
            self.ended[jid(work.payload)] += 1
            seat.process.fetch.done(work)
            seat.told.append(work)
        if tells:
            self.cut(cut, FETCH)
            self.flush(seat)

    @rule(which=numbers, soon=st.booleans(), cut=cuts)
    def fail(self, which: int, soon: bool, cut: str) -> None:
        """``soon``: told with the next request, as a short job's end is."""
        seat = self.busy(which)
        if not seat.running:
            return
        work = self.drawn(which, seat)
        self.count += 1
        member = b"%d: %b" % (self.count, work.payload)
        ending = Ending((Step("ZADD", KEYS.retry, ("1", member)),), End.RETRY)
        if soon:
            seat.process.fetch.leave(work, ending)
            self.cut(cut, FETCH)
            self.flush(seat)
            return
        seat.failing.append((work, ending))
        self.cut(cut, LEAVE)
        self.tell(seat)

    @rule(what=st.sampled_from(("ends", "failures", "retries")))
    def goes_on(self, what: str) -> None:
        """What threads of their own do: told and tried again."""
        if what == "retries":
            self.retries_are_due()
        for seat in self.seats:
            self.flush(seat) if what == "ends" else self.tell(seat)

    @staticmethod
    def tell(seat: Seat) -> None:
        for one in list(seat.failing):
            with suppress(*LOST):
                seat.process.fetch.send_on(*one)
                seat.failing.remove(one)

    def flush(self, seat: Seat) -> None:
        """Where nothing went wrong, what ended has left. Of what was told before, with whatever reply, nobody knows."""
        fetch = seat.process.fetch
        if any(lane.pending for lane in fetch.holdings.lanes):
            seat.told = []
        untold = [work for work in seat.told if work in fetch.holdings.ended]
        unfound = fetch.unfound
        self.asked(seat, fetch.tick)
        if (
            not fetch.holdings.ended
            and not any(lane.pending for lane in fetch.holdings.lanes)
            and fetch.unfound == unfound
        ):
            self.left.update(jid(work.payload) for work in untold)
            seat.told = []

    @rule(what=st.sampled_from(("at hand", "running", "beside one that runs alone")), which=numbers, cut=cuts)
    def give_back(self, what: str, which: int, cut: str) -> None:
        if what == "at hand":
            self.give_back_what_is_at_hand(cut)
        elif what == "running":
            self.give_back_what_runs(which, cut)
        else:
            self.run_alone(which % PROCESSES)

    def give_back_what_is_at_hand(self, cut: str) -> None:
        for seat in self.seats:
            if seat.process.clock.boottime() < seat.process.lease.good_until:
                self.cut(cut, LEAVE)
                fetch = seat.process.fetch
                self.asked(seat, partial(fetch.give_back, fetch.holdings.at_hand()))

    def give_back_what_runs(self, which: int, cut: str) -> None:
        """As at a deadline: its thread is told not to end it."""
        seat = self.busy(which)
        if not seat.running:
            return
        work = self.drawn(which, seat)
        self.cut(cut, LEAVE)
        self.asked(seat, lambda: seat.process.fetch.give_back([work]))

    def run_alone(self, who: int) -> None:
        fetch = self.seats[who].process.fetch
        if fetch.alone(0):
            fetch.together(0)

    def retries_are_due(self) -> None:
        for member in self.redis.zrange(KEYS.retry, 0, -1):
            raw = member[member.index(b"{") :]
            with self.redis.pipeline(transaction=True) as pipe:
                pipe.zrem(KEYS.retry, member)
                pipe.lpush(KEYS.queue(json.loads(raw)["queue"]), raw)
                pipe.execute()

    # -- misfortunes -----------------------------------------------------------------------------------------------

    @rule(
        what=st.sampled_from(("crash", "suspension", "suspension", "eviction", "request", "connections", "end")),
        who=processes,
        match=st.sampled_from(MATCHES),
        act=st.sampled_from(("lose", "refuse")),
    )
    def misfortune(self, what: str, who: int, match: bytes, act: str) -> None:
        if what == "crash":
            self.crash(who)
        elif what == "suspension":
            self.suspend(who)
        elif what == "eviction":
            self.seats[who].knows = False
            self.lease_runs_out(who)
        elif what == "request":
            self.cut(act, match)
        elif what == "connections":
            self.proxy.cut()
        else:
            self.leave(who)

    def crash(self, who: int) -> None:
        self.seats[who].process.die()
        self.lease_runs_out(who)
        self.seats[who] = self.new()

    def suspend(self, who: int) -> None:
        """Past its lease. What its threads run goes on when it is back."""
        self.seats[who].process.skipped += 60
        self.lease_runs_out(who)

    def lease_runs_out(self, who: int) -> None:
        self.peaceful = False
        self.redis.delete(KEYS.lease(self.seats[who].process.identity))

    @rule(who=processes)
    def regain(self, who: int) -> None:
        seat = self.seats[who]
        self.asked(seat, partial(self.regained, seat))

    @rule(who=processes, times=st.integers(1, 3))
    def recover(self, who: int, times: int) -> None:
        """Once, or until accounts are closed too."""
        seat = self.seats[who]
        for _ in range(times):
            self.redis.delete(KEYS.recovering)
            seat.process.lease._steady_since = seat.process.clock.boottime() - 16
            self.asked(seat, seat.recovery.scan)
            self.some_seconds_pass(seat.recovery)

    def some_seconds_pass(self, recovery: Recovery) -> None:
        """Then every wait has ended that was there, and what was empty has been so for long."""
        for one in self.redis.client_list():
            if "b" in one["flags"]:
                self.redis.client_unblock(int(one["id"]))
        recovery._empty_since = {identity: since - LATE for identity, since in recovery._empty_since.items()}

    def leave(self, who: int) -> None:
        """A graceful end, though some jobs still run: they are not ended any more."""
        seat = self.seats[who]
        process = seat.process
        if process.fetch.parking.waits.over < process.clock.monotonic():
            self.asked(seat, lambda: process.fetch.give_back(seat.running))
            self.asked(seat, process.fetch.close)
        self.asked(seat, process.lease.release)
        process.die()
        self.redis.delete(KEYS.lease(process.identity))  # where it could not say goodbye, that runs out
        self.seats[who] = self.new()

    # -- what helps ------------------------------------------------------------------------------------------------

    def asked(self, seat: Seat, act: Callable[[], Any]) -> Any:
        """As threads do it: what fails is tried again some time, what is fenced sees to the lease."""
        try:
            return act()
        except FencedError:
            with suppress(*LOST):
                self.regained(seat)
        except LOST:
            return None

    @staticmethod
    def regained(seat: Seat) -> None:
        seat.process.regain()
        seat.knows = True

    def cut(self, act: str, match: bytes) -> None:
        """The next such request."""
        if act:
            getattr(self.proxy, act)(match)

    def busy(self, which: int) -> Seat:
        """One that runs something, where there is any. Draws depend on nothing in Redis: they must be repeatable."""
        if not any(seat.running for seat in self.seats):
            self.take(which % PROCESSES, 0, 0, 3, "")
        found = [seat for seat in self.seats if seat.running] or self.seats
        return found[which % len(found)]

    @staticmethod
    def drawn(which: int, seat: Seat) -> Work:
        return seat.running.pop(which % len(seat.running))

    def places(self) -> dict[str, list[bytes]]:
        """Every job in Redis by the key it lies in."""
        taken = [key.decode() for key in self.redis.keys("kiq:taken:*")]
        lists = [*(KEYS.queue(name) for name in QUEUES), *taken]
        sets = (KEYS.retry, KEYS.dead)
        with self.redis.pipeline(transaction=True) as pipe:
            for key in lists:
                pipe.lrange(key, 0, -1)
            for key in sets:
                pipe.zrange(key, 0, -1)
            return dict(zip((*lists, *sets), pipe.execute(), strict=True))

    def there(self) -> Counter[str]:
        return Counter(jid(raw) for raws in self.places().values() for raw in raws)

    # -- what holds ------------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_lost_and_nothing_comes_back(self) -> None:
        there = self.there()
        for name, count in self.enqueued.items():
            assert there[name] + self.ended[name] >= count, f"{name} is lost"
            assert there[name] + self.left[name] <= count, f"{name} came back"
        assert there.keys() <= self.enqueued.keys()

    @invariant()
    def every_private_list_is_somebodys(self) -> None:
        index = {name.decode() for name in self.redis.hkeys(KEYS.index)}
        for key in self.redis.keys("kiq:taken:*"):
            identity = ":".join(key.decode().split(":")[2:5])
            assert identity in index, f"nobody would look at {key}"

    @invariant()
    def nothing_is_twice_in_one_process(self) -> None:
        for seat in self.seats:
            fetch = seat.process.fetch
            known = [*fetch.local, *seat.running]
            assert len(known) == len(set(known))
            assert set(fetch.local) <= fetch.holdings.taken

    @invariant()
    def while_nobody_dies_each_job_is_in_one_place(self) -> None:
        if not self.peaceful:
            return
        held: Counter[tuple[str, bytes]] = Counter()
        for key, raws in self.places().items():
            if key.startswith("kiq:taken:"):
                held.update((key, raw) for raw in raws)
        for seat in self.seats:
            assert seat.process.fetch.unfound == 0
            for work in seat.running:
                held[work.home.key, work.payload] -= 1
        assert all(count >= 0 for count in held.values()), "something runs that lies in no private list"

    def teardown(self) -> None:
        """Everybody dies; one that comes then finds every job."""
        try:
            for seat in self.seats:
                seat.process.die()
                self.redis.delete(KEYS.lease(seat.process.identity))
            if self.seats:
                self.all_is_found()
        finally:
            for seat in self.seats:
                seat.process.die()
            self.proxying.__exit__(None, None, None)
            self.redis.close()

    def all_is_found(self) -> None:
        self.proxy.end()  # else an end that somebody told could come between the two counts
        self.redis.ping()
        before = self.there()
        survivor = self.new()
        self.seats.append(survivor)
        self.proxy.faults.clear()
        self.recover(len(self.seats) - 1, 3)
        self.nothing_is_lost_and_nothing_comes_back()
        assert self.there() == before
        assert self.redis.hkeys(KEYS.index) == [survivor.process.identity.encode()]
        assert self.redis.keys("kiq:taken:*") == []
        works = survivor.process.take_all()
        assert not any(self.redis.exists(KEYS.queue(name)) for name in QUEUES)
        for work in works:
            self.ended[jid(work.payload)] += 1
            survivor.process.fetch.done(work)
        self.flush(survivor)
        survivor.process.fetch.close()
        assert survivor.process.lease.release()
        left = {key.decode() for key in self.redis.keys("kiq:*")} - {KEYS.recovering, KEYS.recovered, KEYS.recoveries}
        assert left == set()


def test_no_job_is_ever_lost(redis: Any, redis_server: RedisServer) -> None:
    Fleet.server = redis_server
    run_state_machine_as_test(
        Fleet,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
