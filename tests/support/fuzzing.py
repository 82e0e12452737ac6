"""Feeds every reader of ours what nobody would write, until something breaks: `python tests/support/fuzzing.py`.

`--seconds N` goes on that long (default 60), `--seed N` begins elsewhere, names of targets choose among them, and
`--atheris TARGET` lets atheris (where it is installed) find the bytes instead of us. What breaks a promise is printed
with its seed, and lies in a file that is named. tests/attacks/test_fuzz.py runs the beginning of each.

The promise is the same for all: readers raise only what they say, no probe and no check crashes, and all of it ends.
"""

import argparse
import atexit
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
from types import FunctionType
from typing import Any, Final

from healthy import HEALTHY
from hiredis import hiredis
from sound import (
    ADDRESSES,
    CLIENTS,
    CONFIGURATION,
    CORE,
    COREDUMPS,
    CRON,
    DUMPS,
    EXPORT,
    FILES,
    INFO,
    JOB,
    KERNEL,
    LOGS,
    PAGES,
    PROCESSES,
    REPLIES,
    REPORT,
    SERVER,
    UNITS,
    WORK,
)  # fmt: skip

from kiqdoctor import cron, sentinels
from kiqdoctor.actions import exact
from kiqdoctor.cli.diff import _side
from kiqdoctor.cli.why import _document
from kiqdoctor.cli.words import configured, file
from kiqdoctor.clock import SYSTEM
from kiqdoctor.connection import UrlError, resolve_url
from kiqdoctor.cron import CronError
from kiqdoctor.doctor import difference, ticks
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.native import Crashes
from kiqdoctor.doctor.facts.redis import Clients
from kiqdoctor.doctor.facts.tracing import Sought
from kiqdoctor.doctor.recording import Recording, RecordingError, dump, load
from kiqdoctor.doctor.report import Cost, Outcome, Result, Target
from kiqdoctor.doctor.snapshot import Refused, Snapshot
from kiqdoctor.doctor.ticks import UntoldError
from kiqdoctor.doctor.tools import Host
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.errors import AskedError
from kiqdoctor.examining.examination import Prepared, judged, looked, prepared
from kiqdoctor.examining.parts import every_probe
from kiqdoctor.examining.why import lines, why
from kiqdoctor.probes.beside import periodic
from kiqdoctor.probes.cores import backtrace
from kiqdoctor.probes.cores.files import files, linked
from kiqdoctor.probes.cores.jobs import jobs
from kiqdoctor.probes.cores.reports import reported
from kiqdoctor.probes.host.kernel_log import read_log
from kiqdoctor.probes.host.local_processes import local_processes
from kiqdoctor.probes.host.units import read_units
from kiqdoctor.probes.native import core_file, elf
from kiqdoctor.probes.native.crashes import listed, reports
from kiqdoctor.probes.redis.server import _client, read_info
from kiqdoctor.probes.threads import ttin
from kiqdoctor.render import diff
from kiqdoctor.resp import StepError
from kiqdoctor.resp import Wire as RespWire
from kiqdoctor.text import SHORT, clean, decode, disarmed, redact
from kiqdoctor.wire import heartbeat
from kiqdoctor.wire.payload import read as read_payload

LONGEST: Final = 1 << 18  # bytes of one input
PATIENCE: Final = 20.0  # seconds of computing that one input may take
HANGING: Final = 150.0  # seconds after which it hangs, however busy the machine is: an examination has 60
HALF: Final = 0.5
MANY: Final = 20  # inputs at a turn
TELLING: Final = 2_000  # inputs, after which it says how far it is

WORDS: Final = (
    b"\0", b"\xff\xfe", b"\r\n", b"\n", b"\t", b'"', b"'", b"{", b"}", b"[", b"]", b"(", b")", b":", b"- ", b"#",
    b"&a ", b"*a", b"<<: ", b"%w[", b"<%= ", b" %>", b"${X:-", b"$((", b"`", b"\\", b"|", b"!reset",
    b"!!python/object", b"=", b"==", b"f'{", b"lambda: ", b"\xe2\x80\xae", b"\x1b[2J", "²".encode(), "٣".encode(),
    b"-1", b"0", b"9" * 400,
    b"1e999", b"NaN", b"Infinity", b"-0.0", b"null", b"true", b"\\u0000", b"\\ud800", b"redis://u:p@h:99999/x",
    b"0001-01-01T00:00:00", b"9999-12-31 23:59:59",
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
    times: int = 1  # inputs at a turn: readers that take a millisecond have more than whole examinations


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
def _scratch() -> Path:
    """A folder of this process's own, gone with it."""
    made = tempfile.TemporaryDirectory(prefix="kiqdoctor-fuzz-", ignore_cleanup_errors=True)
    atexit.register(made.cleanup)
    return Path(made.name)


@cache
def _static() -> tuple[Path, Asked, Prepared]:
    root = _scratch() / "application"
    root.mkdir()
    asked = Asked(path=root, static=True)
    return root, asked, prepared(asked)


@cache
def _both() -> Prepared:
    """Every check, live ones too; nothing is connected to by preparing."""
    return prepared(Asked(path=_static()[0], redis="redis://127.0.0.1:1/0"))


def _judged(snapshot: Snapshot) -> None:
    """No check crashes over these facts."""
    for result in judged(_both(), snapshot, SYSTEM):
        if (result.reason or "").startswith("crashed"):
            raise BrokenPromiseError(f"{result.check.id} {result.reason}")


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
        _judged(load(data, kinds).snapshot)


def configuration(data: bytes) -> None:
    """A kiqdoctor.toml, found or named."""
    import click

    at = _scratch() / f"{threading.get_ident()}.toml"
    at.write_bytes(data)
    with ending(), suppress(AskedError, click.UsageError):
        found = file.load(at, None)
        for name, parameter in configured.settings().items():
            if name in found.table:
                with suppress(ValueError):
                    configured.fitting(parameter, found.table[name], at.parent)


def library(data: bytes) -> None:
    """A shared object of a package."""
    at = _scratch() / f"{threading.get_ident()}.so"
    at.write_bytes(data)
    with ending(), suppress(elf.ElfError, OSError):
        elf.read(at)


def core(data: bytes) -> None:
    """A core file: its notes, its memory, its libraries and the jobs in it."""
    at = _scratch() / f"{threading.get_ident()}.core"
    at.write_bytes(data)
    with ending(), suppress(core_file.NoCoreError, core_file.BrokenError), core_file.opened(at) as found:
        found.handled()
        jobs(found)
        linked(files(found, 0.0, _static()[0]), _static()[0], _static()[0])


def log(data: bytes) -> None:
    """What a worker wrote that crashed."""
    at = _scratch() / f"{threading.get_ident()}.log"
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

    at = _scratch() / f"{threading.get_ident()}.json"
    at.write_bytes(data)
    with ending(), suppress(AskedError, click.UsageError):
        found = _side(at, Asked())
        for shown in (diff.text, diff.document):
            shown(difference.compare(found, found), ("a", "b"), 0)


def clients(data: bytes) -> None:
    """What CLIENT LIST answers."""
    with ending():
        _judged(HEALTHY.with_(Clients(tuple(map(_client, decode(data).splitlines())))))


def info(data: bytes) -> None:
    """What INFO answers."""
    with ending():
        _judged(HEALTHY.with_(read_info(decode(data))))


def kernel(data: bytes) -> None:
    """What the kernel logs of a process with any name, in a group with any name."""
    with ending():
        _judged(HEALTHY.with_(read_log(data.split(b"\n\n"), 1.7e9)))


def crashed(data: bytes) -> None:
    """What a worker's log says before it ends, and what coredumpctl lists."""
    with ending():
        _judged(HEALTHY.with_(Crashes((*reports(data, 1.7e9, "log"), *listed(data)))))


def units(data: bytes) -> None:
    """What systemctl shows."""
    with ending():
        _judged(HEALTHY.with_(read_units(decode(data), LocalProcesses("h"))))


def dump_of_threads(data: bytes) -> None:
    """What a Sidekiq writes on TTIN, and what a debugger says of a core."""
    with ending():
        list(ttin._threads(decode(data)))
        lines_of_it = decode(data).splitlines()
        list(backtrace._gdb(lines_of_it))
        list(backtrace._stack(lines_of_it, 7))


def cron_line(data: bytes) -> None:
    """A schedule, its zone, and when it ticked last."""
    line, zone = periodic.split(decode(data)[:1_000])
    with ending(), suppress(CronError, UntoldError):
        periodic.moment(line)
        cron.before(line, ticks._zone(zone) if zone else None, 1.7e9)


def address(data: bytes) -> None:
    """The URL of a Redis or of Sentinels."""
    text = decode(data)[:5_000]
    with ending():
        with suppress(UrlError):
            resolve_url(text, {})
        with suppress(sentinels.SentinelError):
            sentinels.read(text)


def shown(data: bytes) -> None:
    """Whatever is shown: what is cut is short, what is redacted is redacted, no line commands a CI system."""
    text = decode(data)
    with ending():
        once = redact(text)
        if redact(once) != once or len(clean(text)) > 8 * SHORT or disarmed(disarmed(text)) != disarmed(text):
            raise BrokenPromiseError("what is shown is not what was promised")


def beat(data: bytes) -> None:
    """A process' record, its jobs in flight, a job."""
    for read in (heartbeat.read_info, lambda raw: heartbeat.read_work("t1", raw), read_payload):
        with ending(), suppress(ValueError):
            read(data)


def process(data: bytes) -> None:
    """A process of this host that anybody may have started: its words, its environment, its name, its group."""
    root = _scratch() / f"proc-{threading.get_ident()}"
    folder = root / "7"
    (folder / "task" / "7").mkdir(parents=True, exist_ok=True)
    (root / "stat").write_bytes(b"btime 1700000000\n")
    stat = b"7 (" + data[:15] + b") S 1" + b" 1" * 30
    told = {"cmdline": data, "environ": data, "comm": data[:15], "cgroup": data, "task/7/comm": data[:15], "stat": stat}
    for name, raw in told.items():
        (folder / name).write_bytes(raw)
    with ending():
        _judged(HEALTHY.with_(local_processes.read(Host(root))))


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
        "clients": Fuzzed(CLIENTS, clients, MANY),
        "info": Fuzzed(SERVER, info, MANY),
        "kernel": Fuzzed(KERNEL, kernel, MANY),
        "crashed": Fuzzed((*LOGS, *COREDUMPS), crashed, MANY),
        "units": Fuzzed(UNITS, units, MANY),
        "dump": Fuzzed(DUMPS, dump_of_threads, MANY),
        "cron": Fuzzed(CRON, cron_line, MANY),
        "address": Fuzzed(ADDRESSES, address, MANY),
        "shown": Fuzzed((*ADDRESSES, *LOGS, INFO, JOB), shown, MANY),
        "beat": Fuzzed((INFO, JOB, WORK), beat, MANY),
        "process": Fuzzed(PROCESSES, process, MANY),
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
        fed(target, mutated(rng.choice(target.seeds), others, rng))


def fed(target: Fuzzed, data: bytes) -> bool:
    """One input, whether it was only late: what was left behind on a busy machine ends after all.

    Raises:
        BrokenPromiseError: it did not keep what is promised.
    """
    threads, computed = threading.active_count(), time.process_time()
    try:
        target.feed(data)
    except UnfinishedError:
        if not _ends(threads, computed):
            raise
        return True
    return False


def _ends(threads: int, computed: float) -> bool:
    """Whether what was left behind ends after all, without more computing than is allowed."""
    limit = time.monotonic() + HANGING
    while threading.active_count() > threads and time.monotonic() < limit:
        time.sleep(0.1)
    return threading.active_count() <= threads and time.process_time() - computed <= PATIENCE


@dataclass
class Course:
    """How far it is: inputs of each target, promises that were broken, examinations that were only late."""

    runs: dict[str, int]
    broken: int = 0
    late: int = 0

    def fed(self, name: str, target: Fuzzed, data: bytes) -> bool:
        """Whether it can go on after this input."""
        self.runs[name] += 1
        try:
            self.late += fed(target, data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told and the next one tried
            self.broken += 1
            at = Path(tempfile.gettempdir()) / f"kiqdoctor-fuzz-{name.replace('/', '-')}-{self.broken}.bin"
            at.write_bytes(data)
            print(f"{name}: {type(error).__name__}: {error} ({at})", flush=True)
            return not isinstance(error, UnfinishedError)  # it goes on in its thread, and every later one would meet it
        return True

    def __str__(self) -> str:
        late = f", {self.late} were only late on a busy machine" if self.late else ""
        return f"{sum(self.runs.values())} inputs, {self.broken} broke a promise{late}"


def _forever(chosen: Mapping[str, Fuzzed], seconds: float, seed: int) -> int:
    """Until the time is up; half of the turns are the world's, where it is there."""
    began, course, told = time.monotonic(), Course(dict.fromkeys(chosen, 0)), 0
    others = [one for some in targets().values() for one in some.seeds] + [INFO, JOB, WORK]
    rng, names = random.Random(seed), [name for name in chosen if name != "world"]
    going = True
    while going and time.monotonic() < began + seconds:
        name = "world" if "world" in chosen and (not names or rng.random() < HALF) else rng.choice(names)
        for _ in range(chosen[name].times):
            going = going and course.fed(name, chosen[name], mutated(rng.choice(chosen[name].seeds), others, rng))
        if (count := sum(course.runs.values()) // TELLING) > told:
            told = count
            print(f"{time.monotonic() - began:.0f} s: {course}", flush=True)
    for name, count in sorted(course.runs.items()):
        print(f"{count:8} {name}")
    print(f"{time.monotonic() - began:.0f} s, seed {seed}: {course}")
    return 1 if course.broken else 0


def _instrumented(atheris: Any) -> None:
    """Our functions alone, in place: all that is loaded takes minutes."""
    modules = [module for name, module in [*sys.modules.items()] if name.startswith("kiqdoctor")]
    holders = [*modules, *(one for module in modules for one in vars(module).values() if isinstance(one, type))]
    found = {id(one): one for holder in holders for one in vars(holder).values() if isinstance(one, FunctionType)}
    for function in found.values():
        if (function.__module__ or "").startswith("kiqdoctor"):
            atheris.instrument_func(function)


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

        target = targets()[asked.atheris]
        beginning(target, 1)  # so that what is imported on first use is there to be instrumented
        _instrumented(atheris)
        with tempfile.TemporaryDirectory() as corpus:
            for number, seed in enumerate(target.seeds):
                (Path(corpus) / str(number)).write_bytes(seed)
            atheris.Setup(["fuzz", corpus, f"-max_total_time={asked.seconds:.0f}", "-timeout=60"], target.feed)
            atheris.Fuzz()
        return 0
    if unknown := {*asked.targets} - {*targets(), "world"}:
        words.error(f"no such target: {', '.join(sorted(unknown))}")
    chosen = {name: one for name, one in targets().items() if not asked.targets or name in asked.targets}
    if asked.targets and "world" not in asked.targets:
        return _forever(chosen, asked.seconds, asked.seed)
    with world() as one:
        return _forever({**chosen, "world": Fuzzed((INFO, JOB, WORK), one.feed)}, asked.seconds, asked.seed)


if __name__ == "__main__":
    sys.exit(main())
