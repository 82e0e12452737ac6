"""Workers, their parents, their connections and Redis die again and again; every job that was enqueued runs to its end.

``python tests/chaos/chaos.py --kills 300`` takes some eight minutes; ``--seed`` repeats the same plan. Each execution
is noted outside Redis. A repeat must be explained: the job lay in a private list of a process when that process was
killed or frozen, or Redis was away then, so that nobody could look.
"""

import argparse
import faulthandler
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import redis as redis_py
from ledger import Ledger, preamble
from servers import RedisServer
from workers import children

import kiqdoctor

APP: Final = """
import asyncio
@job(queue="quick")
def nothing():
    with noted():
        pass

@job(queue="quick")
def wait(seconds):
    with noted():
        time.sleep(seconds)

@job(queue="quick")
async def take_turns(seconds):
    with noted():
        if seconds:
            await asyncio.sleep(seconds)

@job(queue="slow")
def wait_long(seconds):
    with noted():
        time.sleep(seconds)

@job(queue="slow", retry_in=lambda count, error: 1)
def flaky(times):
    with noted():
        if kiqdoctor.current().attempt <= times:
            raise ValueError("not yet")

@job(queue="quick")
def called(batch):
    with noted():
        note("callback", kiqdoctor.current().jid)
        note("called", batch)
"""
QUEUES: Final = ("quick", "slow")
WORDS: Final = ("-q", "quick,3", "-q", "slow,1", "-c", "5", "-t", "5")
PACE: Final = 0.8  # seconds between two acts, on average
LOAD: Final = 200  # jobs a second, on average
LEAVE: Final = 40.0  # seconds in which a worker that got TERM must be gone, and one that is to start be there
DRAIN: Final = 180.0  # seconds in which fresh workers must have run what is left
AWAY: Final = re.compile(r"could not say goodbye|while stopping:|still in our private lists|gave [1-9]\d* running")


# -- what happens --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Act:
    """One of: kill, term, clients, freeze, redis-kill, redis-freeze; seconds where it lasts."""

    name: str
    seconds: float = 0.0


def plan(rng: random.Random, kills: int) -> list[Act]:
    """So many kills, and the other misfortunes among them, each at least once."""

    def times(share: float) -> range:
        return range(max(1, round(kills * share)))

    acts = [Act("kill") for _ in range(kills)]
    acts += [Act("term") for _ in times(0.06)]
    acts += [Act("clients") for _ in times(0.08)]
    acts += [Act("redis-kill", rng.uniform(0, 2)) for _ in times(0.03)]
    acts += [Act("redis-freeze", rng.uniform(3, 20 if kills > 50 else 4)) for _ in times(0.015)]
    rng.shuffle(acts)
    # The long ones begin early enough to end within the rest.
    for _ in times(0.03):
        acts.insert(rng.randrange(max(1, len(acts) * 3 // 4)), Act("freeze", rng.uniform(1, 25)))
    acts.insert(rng.randrange(max(1, len(acts) // 4)), Act("freeze", rng.uniform(17, 20)))
    return acts


@dataclass(frozen=True, slots=True)
class Blow:
    """A process was killed or frozen, and what lay in its private lists then; None: nobody could look."""

    kind: str
    pid: int
    jids: Counter[str] | None


@dataclass
class Member:
    """One place in the fleet; whoever dies there is replaced."""

    number: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    frozen_until: float = 0.0
    start_at: float = 0.0
    told: str = ""
    frozen: int = 0  # the pid of the child that stands still
    every: set[int] = field(default_factory=set)  # pids of all children that it had

    @property
    def children(self) -> list[int]:
        """Those that run jobs now."""
        found = children(self.pid) if self.alive else []
        self.every.update(found)
        return found

    @property
    def log(self) -> Path:
        return self.folder / f"worker-{self.number}.log"

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self, url: str) -> None:
        words = [sys.executable, "-m", "kiqdoctor", "work", "chaos_app", "--redis", url, *WORDS]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, cwd=self.folder)
        self.told, self.frozen_until, self.every = "", 0.0, set()

    def send(self, number: signal.Signals) -> None:
        if self.alive:
            assert self.process is not None
            self.process.send_signal(number)


def freeze(pid: int) -> None:
    """Returns when no thread of it runs any more."""
    send(pid, signal.SIGSTOP)
    while _state(pid) not in {"T", "Z", ""}:
        time.sleep(0.0005)


def send(pid: int, number: signal.Signals) -> None:
    """Where it is there."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return ""


# -- the load ------------------------------------------------------------------------------------------------------


@kiqdoctor.job(name="chaos_app.nothing", queue="quick")
def nothing() -> None: ...


@kiqdoctor.job(name="chaos_app.take_turns", queue="quick")
async def take_turns(seconds: float) -> None: ...


@kiqdoctor.job(name="chaos_app.wait", queue="quick")
def wait(seconds: float) -> None: ...


@kiqdoctor.job(name="chaos_app.wait_long", queue="slow")
def wait_long(seconds: float) -> None: ...


@kiqdoctor.job(name="chaos_app.flaky", queue="slow")
def flaky(times: int) -> None: ...


@kiqdoctor.job(name="chaos_app.called", queue="quick")
def called(batch: str) -> None: ...


@dataclass
class Producer:
    """Pushes until stopped. ``sure``: Redis said yes; ``maybe``: its reply was lost; else it said no."""

    rng: random.Random
    sure: set[str] = field(default_factory=set)
    maybe: set[str] = field(default_factory=set)
    batches: dict[str, list[str]] = field(default_factory=dict)
    refused: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """In bursts, with silences in which workers fall asleep."""
        while not self.stop.wait(self.rng.choice((0.01, 0.05, 0.1, 0.4))):
            for _ in range(self.rng.randrange(1, LOAD // 5)):
                self.push()

    def push(self) -> None:
        try:
            self.sure.update(self._one(self.rng.random()))
        except kiqdoctor.MaybeEnqueued as lost:
            self.maybe.update(lost.jids)
        except redis_py.RedisError:
            self.refused += 1
            self.stop.wait(0.1)

    def _one(self, drawn: float) -> list[str]:
        ways: tuple[tuple[float, Callable[[], list[str]]], ...] = (
            (0.35, lambda: [nothing.perform_async()]),
            (0.50, lambda: [take_turns.perform_async(self.rng.choice((0, 0.002)))]),
            (0.82, lambda: [wait.perform_async(0.005)]),
            (0.88, lambda: [wait_long.perform_async(0.1)]),
            (0.885, lambda: [wait_long.perform_async(1.0)]),
            (0.94, lambda: [flaky.perform_async(1)]),
            (0.97, lambda: [nothing.perform_in(self.rng.uniform(0.1, 3.0))]),
            (0.98, self._batch),
            (0.99, lambda: nothing.perform_bulk([[] for _ in range(self.rng.randrange(2, 300))])),
            (1.0, lambda: take_turns.perform_bulk([[0] for _ in range(self.rng.randrange(2, 300))])),
        )
        return next(way for share, way in ways if drawn < share)()

    def _batch(self) -> list[str]:
        jids: list[str] = []
        try:
            with kiqdoctor.Batch(on_success=called) as batch:
                jids += [nothing.perform_async(), flaky.perform_async(1), wait.perform_async(0.005)]
        except redis_py.RedisError:
            self.maybe.update(jids)  # some may have been sent
            raise
        self.batches[batch.id] = jids
        return jids


# -- the run -------------------------------------------------------------------------------------------------------


@dataclass
class Chaos:
    """Everything that a run has."""

    server: RedisServer
    folder: Path
    rng: random.Random
    workers: int
    members: list[Member] = field(default_factory=list)
    blows: list[Blow] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    redis_back_at: float = 0.0
    redis_frozen: bool = False
    orphans: list[int] = field(default_factory=list)  # whose parents were killed

    def __post_init__(self) -> None:
        (self.folder / "chaos_app.py").write_text(preamble(self.folder / "ledger") + APP, encoding="utf-8")
        self.members = [Member(number, self.folder) for number in range(self.workers)]

    def run(self, acts: Iterable[Act], producer: Producer, *, limit: float) -> None:
        """All acts under load, then what is left is run by workers that nobody disturbs."""
        deadline = time.monotonic() + limit
        thread = threading.Thread(target=producer.run, daemon=True)
        thread.start()
        self._tend_for(2.0)
        for act in acts:
            if time.monotonic() > deadline:
                self.faults.append(f"the plan was not done within {limit:g} s")
                break
            self._do(act)
            self._tend_for(self.rng.expovariate(1 / PACE) * (4 if self.redis_away else 1))
        producer.stop.set()
        while self.redis_away or thread.is_alive():  # while Redis stands still a push stands still too
            self._tend_for(0.05)
        self._drain()

    @property
    def redis_away(self) -> bool:
        return bool(self.redis_back_at)

    def _tend_for(self, seconds: float) -> None:
        """Replace the dead, thaw the frozen, bring Redis back."""
        until = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            if self.redis_away and now >= self.redis_back_at:
                self._redis_returns()
            for member in self.members:
                self._tend(member, now)
            if now >= until:
                return
            time.sleep(min(0.02, until - now))

    def _redis_returns(self) -> None:
        if self.redis_frozen:
            os.kill(self.server.pid, signal.SIGCONT)
        else:
            self.server.up()
        self.redis_back_at, self.redis_frozen = 0.0, False

    def _tend(self, member: Member, now: float) -> None:
        if member.alive:
            _ = member.children
            if member.frozen_until and now >= member.frozen_until:
                member.frozen_until = 0.0
                send(member.frozen, signal.SIGCONT)
            return
        if member.process is not None and not member.start_at:
            self._ended(member)
            member.start_at = now + self.rng.choice((0.0, 0.0, 0.5))
        if now >= member.start_at:
            member.start_at = 0.0
            member.start(self.server.url)
            self.counts["starts"] += 1

    def _ended(self, member: Member) -> None:
        assert member.process is not None
        status, said = member.process.returncode, self._said(member)
        if member.told == "killed":
            return
        if member.told == "term":
            if status != 0 and f"pid={member.pid} " in said and "supervises" in said:  # else it had not begun to listen
                self.faults.append(f"TERM: exit status {status} of pid {member.pid}")
            if AWAY.search(said):
                self.blows += [Blow("term", pid, None) for pid in member.every]
        elif status == 1 and "cannot start" in said:
            self.counts["could not start"] += 1
        else:
            self.faults.append(f"pid {member.pid} ended by itself with status {status}: {said[-300:]}")

    @staticmethod
    def _said(member: Member) -> str:
        """The log of the one that ended last, from where its pid is named first; its end where it never was."""
        text = member.log.read_text(errors="replace")
        found = text.find(f"pid={member.pid} ")
        return text[found:] if found >= 0 else text[-2000:]

    # -- acts ------------------------------------------------------------------------------------------------------

    def _do(self, act: Act) -> None:
        free = [one for one in self.members if one.alive and not one.told and not one.frozen_until]
        if act.name == "redis-kill":
            self._redis_kill(act.seconds)
        elif act.name == "redis-freeze":
            self._redis_freeze(act.seconds)
        elif act.name == "clients":
            self._clients()
        elif act.name == "kill":
            self._kill()
        elif not free:
            self.counts[f"{act.name}: nobody there"] += 1
        elif act.name == "term":
            member = self.rng.choice(free)
            member.told = "term"
            member.send(signal.SIGTERM)
            self.counts["term"] += 1
        else:
            self._freeze(self.rng.choice(free), act.seconds)

    def _kill(self) -> None:
        """Also those that are starting, stopping or frozen: a worker, its parent, or both as when a machine dies."""
        until = time.monotonic() + LEAVE
        while not (there := [one for one in self.members if one.alive and one.told != "killed"]):
            assert time.monotonic() < until, f"no worker has started for {LEAVE:g} s"
            self._tend_for(0.05)
        member = self.rng.choice(there)
        victims, whom = member.children, self.rng.choice(("child", "child", "parent", "both"))
        if whom == "both":
            freeze(member.pid)  # else it would see its child end
        if whom != "parent":
            for pid in victims:
                freeze(pid)
                self._note("kill", pid)
                send(pid, signal.SIGKILL)
        if whom != "child":
            member.told = "killed"
            member.send(signal.SIGKILL)
            assert member.process is not None
            member.process.wait()
        if whom == "parent":  # they end their jobs, and give back what they cannot
            self.orphans += victims
            self.blows += [Blow("parent", pid, None) for pid in victims]
            for pid in victims:
                send(pid, signal.SIGCONT)
        self.counts["kills"] += 1
        self.counts[f"kills of {whom}"] += 1
        self.counts["kills while Redis was away"] += self.redis_away

    def _freeze(self, member: Member, seconds: float) -> None:
        if not (there := member.children):
            return
        member.frozen = there[0]
        freeze(member.frozen)
        self._note("freeze", member.frozen)
        member.frozen_until = time.monotonic() + seconds
        self.counts["freezes"] += 1
        self.counts["freezes of 15 s and more"] += seconds >= 15

    def _clients(self) -> None:
        if self.redis_away:
            return
        with self._client() as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal")
        self.counts["clients killed"] += 1

    def _redis_kill(self, seconds: float) -> None:
        if self.redis_away:
            return
        self.server.down(signal.SIGKILL)
        self.redis_back_at = time.monotonic() + seconds
        self.counts["redis kills"] += 1

    def _redis_freeze(self, seconds: float) -> None:
        if self.redis_away:
            return
        os.kill(self.server.pid, signal.SIGSTOP)
        self.redis_frozen, self.redis_back_at = True, time.monotonic() + seconds
        self.counts["redis freezes"] += 1

    def _note(self, kind: str, pid: int) -> None:
        self.blows.append(Blow(kind, pid, None if self.redis_away else self._held(pid)))

    def _held(self, pid: int) -> Counter[str]:
        with self._client() as client:
            lists = [client.lrange(key, 0, -1) for key in client.keys(f"kiq:taken:*:{pid}:*")]
        return Counter(str(json.loads(raw)["jid"]) for payloads in lists for raw in payloads)

    def _client(self) -> "redis_py.Redis":
        return self.server.client(socket_timeout=10)

    # -- the end ---------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        self._all_leave()
        for member in self.members[:2]:
            member.start(self.server.url)
        began = time.monotonic()
        left = self._left()
        while left and time.monotonic() < began + DRAIN:
            time.sleep(0.1)
            left = self._left()
        if left:
            self.faults.append(f"not drained after {DRAIN:g} s: {left}")
        self.counts["seconds of draining"] = round(time.monotonic() - began)
        self._all_leave()
        with self._client() as client:
            patterns = ("kiq:taken:*", "kiq:index", "kiq:lease:*", "kiq:sequence:*")
            stale = [key.decode() for pattern in patterns for key in client.keys(pattern)]
        if stale:
            self.faults.append(f"left when everybody had gone: {', '.join(stale[:10])}")

    def _all_leave(self) -> None:
        there = [one for one in self.members if one.alive]
        for member in there:
            for pid in member.children:
                send(pid, signal.SIGCONT)
            member.told = "term"
            member.send(signal.SIGTERM)
        for member in there:
            assert member.process is not None
            try:
                member.process.wait(LEAVE)
            except subprocess.TimeoutExpired:
                self.faults.append(f"pid {member.pid} did not leave within {LEAVE:g} s of TERM")
                for pid in member.children:
                    self._note("kill", pid)
                    send(pid, signal.SIGKILL)
                member.process.kill()
                member.process.wait()
            else:
                self._ended(member)

    def _left(self) -> dict[str, int]:
        with self._client() as client:
            found = {name: client.llen(f"queue:{name}") for name in QUEUES}
            found |= {name: client.zcard(name) for name in ("retry", "schedule")}
            found["taken"] = len(client.keys("kiq:taken:*"))
            pids = {f":{pid}:" for one in self.members for pid in one.children}
            index = client.hkeys("kiq:index")
        found["index"] = sum(not any(pid in name.decode() for pid in pids) for name in index)
        return {name: count for name, count in found.items() if count}

    def close(self) -> None:
        for pid in [*self.orphans, *(pid for one in self.members for pid in one.children)]:
            send(pid, signal.SIGKILL)
        for member in self.members:
            if member.alive:
                member.send(signal.SIGKILL)
                assert member.process is not None
                member.process.wait()


# -- the judgement -------------------------------------------------------------------------------------------------


def judge(chaos: Chaos, producer: Producer) -> dict[str, Any]:
    """Faults go to ``chaos.faults``; the numbers that a person wants to see."""
    ledger = Ledger.read(chaos.folder / "ledger")
    with chaos._client() as client:
        dead = [json.loads(raw) for raw in client.zrange("dead", 0, -1)]
        recovered = int(client.get("kiq:recovered") or 0)
    poison = {str(one["jid"]) for one in dead if one.get("error_class") == "kiqdoctor.Poison"}
    faults = chaos.faults
    faults += [f"dead, and no poison: {one}" for one in dead if one["jid"] not in poison]
    lost = producer.sure - ledger.ended - poison
    faults += [f"lost: {jid} {_where(chaos, jid)}" for jid in sorted(lost)[:20]]
    callbacks = {of for word, of in ledger.words if word == "callback"}
    strangers = ledger.jids - producer.sure - producer.maybe - callbacks
    silent = {
        batch
        for batch, jids in producer.batches.items()
        if not ledger.words["called", batch] and not poison.intersection(jids)
    }
    faults += [f"ran though its push was refused: {jid}" for jid in sorted(strangers)[:20]]
    faults += [f"never called back: batch {batch} of {producer.batches[batch]}" for batch in sorted(silent)[:20]]
    unexplained = list(_unexplained(ledger, chaos.blows))
    faults += unexplained[:20]
    held = sum(blow.jids.total() for blow in chaos.blows if blow.jids is not None)
    unseen = sum(blow.jids is None for blow in chaos.blows)
    return {
        "jobs": len(producer.sure),
        "pushes without reply": len(producer.maybe),
        "of them ran": len(producer.maybe & ledger.ended),
        "pushes refused": producer.refused,
        "lost": len(lost),
        "batches": len(producer.batches),
        "never called back": len(silent),
        "poison": sorted(poison),
        "executions": ledger.executions,
        "repeats": ledger.executions - len(ledger.begun),
        "ended twice or more": sum(count > 1 for count in ledger.ends.values()),
        "held at kills and freezes": held,
        "blows that nobody could look at": unseen,
        "repeats unexplained": len(unexplained),
        "recovered": recovered,
        **chaos.counts,
    }


def _unexplained(ledger: Ledger, blows: list[Blow]) -> Iterable[str]:
    """Each repeat needs a blow to a process that held the job; where nobody could look, to one that had begun it."""
    seen: Counter[str] = Counter()
    unseen = set()
    for blow in blows:
        if blow.jids is None:
            unseen.add(blow.pid)
        else:
            seen.update(blow.jids)
    allowed = {(jid, attempt): seen[jid] + len(unseen & set(pids)) for (jid, attempt), pids in ledger.begun.items()}
    for (jid, attempt), pids in ledger.begun.items():
        if len(pids) - 1 > allowed[jid, attempt]:
            yield f"ran again for no reason: {jid} attempt {attempt} in processes {pids}, held at {seen[jid]} blows"


def _where(chaos: Chaos, jid: str) -> str:
    with chaos._client() as client:
        places = [key for key in client.keys("*") if client.type(key) in {b"list", b"zset"}]
        for key in places:
            found = client.lrange(key, 0, -1) if client.type(key) == b"list" else client.zrange(key, 0, -1)
            if any(jid.encode() in raw for raw in found):
                return f"is in {key.decode()}"
    return "is nowhere"


def main() -> int:
    """0 where nothing was lost and no repeat is unexplained."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=300, help="of workers, by SIGKILL")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds for all acts")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    faulthandler.dump_traceback_later(options.limit + DRAIN + 4 * LEAVE, exit=True)
    rng = random.Random(options.seed)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    began = time.monotonic()
    settings = {"appendonly": "yes", "appendfsync": "always"}
    with RedisServer.start(settings) as server:
        kiqdoctor.configure(redis=server.url)
        chaos = Chaos(server, folder, rng, options.workers)
        producer = Producer(random.Random(options.seed + 1))
        try:
            chaos.run(plan(rng, options.kills), producer, limit=options.limit)
            numbers = judge(chaos, producer)
        finally:
            producer.stop.set()
            chaos.close()
    print(f"seconds: {time.monotonic() - began:.0f}")
    for name, value in numbers.items():
        print(f"{name}: {value}")
    for fault in chaos.faults:
        print(f"FAULT {fault}")
    if chaos.faults:
        print(f"ledger and logs are kept in {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
