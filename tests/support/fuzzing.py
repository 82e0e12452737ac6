"""Feeds every reader of ours what nobody would write, until something breaks: `python tests/support/fuzzing.py`.

`--seconds N` goes on that long (default 60), `--seed N` begins elsewhere, names of targets choose among them, and
`--atheris TARGET` lets atheris (where it is installed) find the bytes instead of us. What breaks a promise is printed
with its seed, and lies in a file that is named. tests/attacks/test_fuzz.py runs the beginning of each.

The promise is the same for all: readers raise only what they say, no probe and no check crashes, and all of it ends.
"""

import argparse
import json
import random
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from healthy import HEALTHY
from hiredis import hiredis
from sound import CONFIGURATION, CORE, EXPORT, FILES, INFO, JOB, LOGS, PAGES, REPLIES, REPORT, WORK

from kiqdoctor.actions import exact
from kiqdoctor.cli.diff import _side
from kiqdoctor.cli.why import _document
from kiqdoctor.cli.words import configured, file
from kiqdoctor.clock import SYSTEM
from kiqdoctor.doctor import difference
from kiqdoctor.doctor.facts.tracing import Sought
from kiqdoctor.doctor.recording import Recording, RecordingError, dump, load
from kiqdoctor.doctor.report import Cost, Outcome, Result, Target
from kiqdoctor.doctor.snapshot import Refused, Snapshot
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.errors import AskedError
from kiqdoctor.examining.examination import Prepared, judged, looked, prepared
from kiqdoctor.examining.parts import every_probe
from kiqdoctor.examining.why import lines, why
from kiqdoctor.probes.cores.files import files, linked
from kiqdoctor.probes.cores.jobs import jobs
from kiqdoctor.probes.cores.reports import reported
from kiqdoctor.probes.native import core_file, elf
from kiqdoctor.render import diff
from kiqdoctor.resp import StepError
from kiqdoctor.resp import Wire as RespWire

LONGEST: Final = 1 << 18  # bytes of one input
PATIENCE: Final = 20.0  # seconds of computing that one input may take
HANGING: Final = 150.0  # seconds after which it hangs, however busy the machine is: an examination has 60
TELLING: Final = 500  # inputs, after which it says how far it is

WORDS: Final = (
    b"\0", b"\xff\xfe", b"\r\n", b"\n", b"\t", b'"', b"'", b"{", b"}", b"[", b"]", b"(", b")", b":", b"- ", b"#",
    b"&a ", b"*a", b"<<: ", b"%w[", b"<%= ", b" %>", b"${X:-", b"$((", b"`", b"\\", b"|", b"!reset",
    b"!!python/object", b"=", b"==", b"f'{", b"lambda: ", b"\xe2\x80\xae", b"\x1b[2J", "²".encode(), "٣".encode(),
    b"-1", b"0", b"9" * 400,
    b"1e999", b"NaN", b"Infinity", b"-0.0", b"null", b"true", b"\\u0000", b"\\ud800", b"redis://u:p@h:99999/x",
    b"*9999\r\n", b"$-1\r\n", b"$9000000000\r\n", b"*2000000000\r\n", b"+OK\r\n", b"-ERR x\r\n", b":1\r\n", b"_\r\n",
)  # fmt: skip


def mutated(seed: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """The seed with a few changes: cut, doubled, spliced with another, bytes turned, odd words put in."""
    data = bytearray(seed)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        at = rng.randint(0, len(data))
        to = min(len(data), at + rng.choice((1, 2, 8, 64, 512)))
        match rng.randrange(7):
            case 0:
                data[at:to] = b""
            case 1:
                data[at:at] = rng.choice(WORDS)
            case 2:
                data[at:to] = rng.choice(WORDS)
            case 3:
                data[at:at] = bytes(data[at:to]) * rng.choice((1, 2, 30, 1000))
            case 4:
                data[at:to] = bytes(rng.randrange(256) for _ in range(to - at))
            case 5:
                other = rng.choice(others)
                start = rng.randint(0, len(other))
                data[at:to] = other[start : start + rng.choice((8, 64, 4096))]
            case _:
                data[at:at] = rng.choice(WORDS) * rng.choice((2, 50, 3000))
        del data[LONGEST:]
    return bytes(data)


class BrokenPromiseError(AssertionError):
    """What a reader promised does not hold for this input."""


class UnfinishedError(BrokenPromiseError):
    """It was left behind in its thread: it computes for ever, or the machine is busy."""


@dataclass(frozen=True)
class Fuzzed:
    """Something that takes bytes: what it begins with, and how they reach it."""

    seeds: tuple[bytes, ...]
    feed: Callable[[bytes], None]


@contextmanager
def ending() -> Iterator[None]:
    """What is done within took no longer than it may."""
    began, computed = time.monotonic(), time.process_time()
    yield
    took, used = time.monotonic() - began, time.process_time() - computed
    if used > PATIENCE or took > HANGING:
        raise BrokenPromiseError(f"it took {took:.0f} s, {used:.0f} s of them computing")


def whole(results: tuple[Result, ...], snapshot: Snapshot) -> None:
    """Nothing crashed, neither what reads nor what judges."""
    for kind, reading in snapshot.readings.items():
        if isinstance(reading.value, Refused) and reading.value.crashed:
            late = "did not finish" in reading.value.reason
            raise (UnfinishedError if late else BrokenPromiseError)(f"{kind.__name__}: {reading.value.reason}")
    for result in results:
        if result.outcome is Outcome.UNKNOWN and (result.reason or "").startswith("crashed"):
            raise BrokenPromiseError(f"{result.check.id} {result.reason}")


# --- An application's files, each of them anything ---


@cache
def _static() -> tuple[Path, Asked, Prepared]:
    root = Path(tempfile.mkdtemp(prefix="kiqdoctor-fuzz-"))
    asked = Asked(path=root, static=True)
    return root, asked, prepared(asked)


def application(name: str) -> Callable[[bytes], None]:
    """One file of an application is anything, the others are sound."""

    def feed(data: bytes) -> None:
        root, asked, ready = _static()
        for path, sound in FILES.items():
            at = root / path
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_bytes(data if path == name else sound)
        with ending(), looked(asked, ready.plan, SYSTEM) as seen:
            whole(judged(ready, seen.recording.snapshot, SYSTEM), seen.recording.snapshot)

    return feed


# --- What is read by itself ---


def recording(data: bytes) -> None:
    """A file for --replay: judged, or refused in its own words."""
    kinds = [probe.fact for probe in every_probe()]
    with ending(), suppress(RecordingError):
        again = load(data, kinds)
        results = judged(_static()[2], again.snapshot, SYSTEM)
        for result in results:
            if (result.reason or "").startswith("crashed"):
                raise BrokenPromiseError(f"{result.check.id} {result.reason}")


def configuration(data: bytes) -> None:
    """A kiqdoctor.toml, found or named."""
    import click

    at = Path(tempfile.gettempdir()) / f"kiqdoctor-fuzz-{threading.get_ident()}.toml"
    at.write_bytes(data)
    with ending(), suppress(AskedError, click.UsageError):
        found = file.load(at, None)
        for name, parameter in configured.settings().items():
            if name in found.table:
                with suppress(ValueError):
                    configured.fitting(parameter, found.table[name], at.parent)


def library(data: bytes) -> None:
    """A shared object of a package."""
    at = Path(tempfile.gettempdir()) / f"kiqdoctor-fuzz-{threading.get_ident()}.so"
    at.write_bytes(data)
    with ending(), suppress(elf.ElfError, OSError):
        elf.read(at)


def core(data: bytes) -> None:
    """A core file: its notes, its memory, its libraries and the jobs in it."""
    at = Path(tempfile.gettempdir()) / f"kiqdoctor-fuzz-{threading.get_ident()}.core"
    at.write_bytes(data)
    with ending(), suppress(core_file.NoCoreError, core_file.BrokenError), core_file.opened(at) as found:
        found.handled()
        jobs(found)
        linked(files(found, 0.0, _static()[0]), _static()[0], _static()[0])


def log(data: bytes) -> None:
    """What a worker wrote that crashed."""
    at = Path(tempfile.gettempdir()) / f"kiqdoctor-fuzz-{threading.get_ident()}.log"
    at.write_bytes(data)
    with ending(), suppress(OSError):
        reported(at, 7)


def export(data: bytes) -> None:
    """A file for `fix --undo`: what would be sent is packed."""
    with ending(), suppress(exact.ExportError):
        for step in exact.load(data).steps:
            for number, change in enumerate(step.changes):
                exact.request(change, number, undo=True, kept=1, mark="m")


def report(data: bytes) -> None:
    """A report for `diff`."""
    import click

    at = Path(tempfile.gettempdir()) / f"kiqdoctor-fuzz-{threading.get_ident()}.json"
    at.write_bytes(data)
    with ending(), suppress(AskedError, click.UsageError):
        found = _side(at, Asked())
        for shown in (diff.text, diff.document):
            shown(difference.compare(found, found), ("a", "b"), 0)


def page(data: bytes) -> None:
    """A web UI that answers with anything."""
    server = socket.create_server(("127.0.0.1", 0))
    place = f"127.0.0.1:{server.getsockname()[1]}"

    def answer() -> None:
        with suppress(OSError):
            while True:
                other, _ = server.accept()
                with closing(other):
                    other.recv(65536)
                    other.sendall(data)

    threading.Thread(target=answer, daemon=True).start()
    asked = Asked(web=f"http://{place}/sidekiq", redis=f"redis://{place}/0", live=True, select=("web",))
    ready = prepared(asked)
    try:
        with ending(), looked(asked, ready.plan, SYSTEM) as seen:
            whole(judged(ready, seen.recording.snapshot, SYSTEM), seen.recording.snapshot)
    finally:
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()


def replies(data: bytes) -> None:
    """A server that answers with anything: replies, or one error of our own, in time."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with suppress(OSError):
            other, _ = server.accept()
            with closing(other):
                other.recv(65536)
                other.sendall(data)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    with closing(server), ending(), suppress(StepError, OSError):
        wire = RespWire(f"redis://127.0.0.1:{server.getsockname()[1]}/0", connect_timeout=5, read_timeout=2)
        with closing(wire):
            wire.exchange([("PING",), ("INFO",), ("HGETALL", "x")])
    thread.join(5)


# --- A Redis in which any value is anything ---


@dataclass
class World:
    """A real server, whatever its keys hold."""

    client: Any
    url: str
    asked: Asked
    ready: Prepared
    rng: random.Random = field(default_factory=lambda: random.Random(0))

    def feed(self, data: bytes) -> None:
        """The same bytes as a beat, a job, work in flight, a name, a counter; and keys of a wrong type."""
        c = self.client
        c.flushall()
        name = data[:200]
        c.sadd("processes", b"h:7:aa", name)
        c.sadd("queues", b"default", name)
        for identity in (b"h:7:aa", name):
            if identity:
                record = {"info": data, "busy": name, "beat": name or b"1", "quiet": name, "rss": data[:30]}
                c.delete(identity)
                c.hset(identity, mapping=record)
        c.hset("h:7:aa:work", mapping={b"t1": data, name: WORK})
        c.rpush("queue:default", data, JOB, name)
        c.rpush(b"queue:" + name, data)
        for key in ("retry", "schedule", "dead"):
            c.zadd(key, {data: 1.7e9, JOB: float("inf"), name or b"x": -1.0})
        c.set("stat:processed", data[:100])
        c.sadd("paused", name)
        for key in ("kiq:lanes:h:7:aa", "kiq:taken", "uniquejobs:digests", "cron_jobs:default", "cron_job:default:x"):
            c.set(key, data[:300])
        with ending(), looked(self.asked, self.ready.plan, SYSTEM) as seen:
            results = judged(self.ready, seen.recording.snapshot, SYSTEM)
            whole(results, seen.recording.snapshot)
        with ending():
            answer = why(Sought(queue="default"), self.asked)
            json.dumps(_document(answer), allow_nan=False)
            for _ in lines(answer):
                pass


@contextmanager
def world() -> Iterator[World]:
    """A real Redis for ``World``."""
    import redis as redis_py
    from servers import RedisServer

    with RedisServer.start() as server:
        url = f"redis://127.0.0.1:{server.port}/0"
        asked = Asked(redis=url, live=True)
        yield World(redis_py.Redis(port=server.port), url, asked, prepared(asked))


# --- Going on ---


@cache
def targets() -> Mapping[str, Fuzzed]:
    """Everything that can be fed without a server."""
    facts = dump(Recording(HEALTHY, Target(None, None, None), 1.7e9, "0", Cost()))
    own = Path(hiredis.__file__).read_bytes()[:LONGEST]
    single = {
        "recording": Fuzzed((facts,), recording),
        "configuration": Fuzzed((CONFIGURATION,), configuration),
        "library": Fuzzed((own,), library),
        "replies": Fuzzed(REPLIES, replies),
        "core": Fuzzed((CORE,), core),
        "log": Fuzzed(LOGS, log),
        "export": Fuzzed((EXPORT,), export),
        "report": Fuzzed((REPORT,), report),
        "page": Fuzzed(PAGES, page),
    }
    return single | {name: Fuzzed((sound,), application(name)) for name, sound in FILES.items()}


DEEP: Final = (
    b"*a", b".a", b".a(1)", b"[", b"{", b"(", b"a(", b"a[", b"if a\n", b"def a\n", b"a = ", b"-", b"not ", b"lambda: ",
    b"- ", b"a: {", b"a {", b"{ |a| ", b"a=", b"%w[", b"<%", b"${", b"$(", b"`", b"'#{", b"class A\n", b"a ? ", b"::A",
    b"Sidekiq.configure_server { |c| c.redis = ", b"A.new(a: ", b"&.a", b"\n a:", b"@a\n", b"f'{", b"x if x else ",
)  # fmt: skip


def deep(name: str) -> Iterator[bytes]:
    """A sound file that goes on with ever the same opening, 64 KiB of it."""
    for word in DEEP:
        yield FILES[name] + word * (65_536 // len(word))


def beginning(target: Fuzzed, count: int, seed: int = 0) -> None:
    """The first so many inputs of a seed; each is what it was."""
    rng = random.Random(seed)
    others = [one for some in targets().values() for one in some.seeds]
    for _ in range(count):
        target.feed(mutated(rng.choice(target.seeds), others, rng))


def _ends(threads: int, computed: float) -> bool:
    """Whether what was left behind ends after all, without more computing than is allowed."""
    limit = time.monotonic() + HANGING
    while threading.active_count() > threads and time.monotonic() < limit:
        time.sleep(0.1)
    return threading.active_count() <= threads and time.process_time() - computed <= PATIENCE


def _forever(chosen: Mapping[str, Fuzzed], seconds: float, seed: int) -> int:
    began, runs, broken, busy = time.monotonic(), dict.fromkeys(chosen, 0), 0, 0
    others = [one for some in targets().values() for one in some.seeds] + [INFO, JOB, WORK]
    rng = random.Random(seed)
    while time.monotonic() < began + seconds:
        name = rng.choice(list(chosen))
        data = mutated(rng.choice(chosen[name].seeds), others, rng)
        threads, computed = threading.active_count(), time.process_time()
        try:
            try:
                chosen[name].feed(data)
            except UnfinishedError:
                if not _ends(threads, computed):
                    raise
                busy += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told and the next one tried
            broken += 1
            at = Path(tempfile.gettempdir()) / f"kiqdoctor-fuzz-{name.replace('/', '-')}-{broken}.bin"
            at.write_bytes(data)
            print(f"{name}: {type(error).__name__}: {error} ({at})", flush=True)
            if isinstance(error, UnfinishedError):
                break  # it goes on in its thread, and every later input would meet it
        runs[name] += 1
        if sum(runs.values()) % TELLING == 0:
            print(
                f"{time.monotonic() - began:.0f} s: {sum(runs.values())} inputs, {broken} broke a promise", flush=True
            )
    total = f"{sum(runs.values())} inputs, {broken} broke a promise, {busy} were only late on a busy machine"
    print(json.dumps(runs), total)
    return 1 if broken else 0


def main() -> int:
    """Until the time is up."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("targets", nargs="*", help="of: world, " + ", ".join(targets()))
    words.add_argument("--seconds", type=float, default=60)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--atheris", metavar="TARGET")
    asked = words.parse_args()
    if asked.atheris:
        atheris = import_module("atheris")

        atheris.instrument_all()
        atheris.Setup(["fuzz", f"-max_total_time={asked.seconds:.0f}"], targets()[asked.atheris].feed)
        atheris.Fuzz()
        return 0
    chosen = {name: one for name, one in targets().items() if not asked.targets or name in asked.targets}
    if asked.targets and "world" not in asked.targets:
        return _forever(chosen, asked.seconds, asked.seed)
    with world() as one:
        weight = {f"world {number}": Fuzzed((INFO, JOB, WORK), one.feed) for number in range(len(chosen) or 1)}
        return _forever({**chosen, **weight}, asked.seconds, asked.seed)


if __name__ == "__main__":
    sys.exit(main())
