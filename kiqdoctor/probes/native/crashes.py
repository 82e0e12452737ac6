"""What tells of native crashes when the process is gone: logs, core files, systemd-coredump."""

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from signal import Signals
from typing import Final

from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.native import Crash, Crashes
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.doctor.snapshot import Missing
from kiqdoctor.doctor.tools import Application, Host
from kiqdoctor.probes.native.core_file import BrokenError, NoCoreError, opened
from kiqdoctor.probes.native.own import own
from kiqdoctor.regex import regex
from kiqdoctor.text import clean
from kiqdoctor.wire.numbers import whole

TAIL: Final = 512 * 1024  # bytes at the end of one log
BEFORE: Final = 16 * 1024  # bytes before a report in which its time and pid are looked for
REPORT: Final = 64 * 1024  # bytes of one report
MOST_LOGS: Final = 20
MOST_CORES: Final = 20
MOST_CRASHES: Final = 100
LONGEST: Final = 5.0  # seconds
MARK: Final = regex(
    rb"\[BUG\] (?P<ruby>[^\r\n]{1,120})|Fatal Python error: (?P<python>[^\r\n]{1,120})"
    rb"|# A fatal error has been detected by the (?P<java>Java Runtime Environment)"
)
STAMP: Final = regex(rb"\b(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,]\d{1,9})?(Z|[+-]\d\d:?\d\d)?")
PID: Final = regex(rb"\bpid[=: ](\d{1,10})\b")
FRAME: Final = regex(rb"^(?:Binary file \")?(/[^\s()\"]{1,300}\.so[.\d]{0,20})[(\"]", re.MULTILINE)
WORKER: Final = regex(r"sidekiq|kiqdoctor|resque")
CRASHES: Final = frozenset({4, 5, 6, 7, 8, 11, 31})  # signals


@probe(
    Read("the end of the files behind /proc/PID/fd/1 and 2", "same user or root", "512 KiB a worker"),
    Read("log/*.log, core*, hs_err* of the application and workers' directories", "", "20 files at most"),
    Read("coredumpctl list", "", "one call, where systemd runs"),
    lane=Lane.HOST,
    deadline_s=15.0,
)
def crashes(host: Host, local: LocalProcesses, application: Application | Missing) -> Crashes:
    """Nothing of what is found is executed, and nothing but the notes of a core is read."""
    root = application.root if isinstance(application, Application) else None
    found: list[Crash] = []
    looked: list[str] = []
    unread: list[str] = []
    seen: set[tuple[int, int]] = set()
    for path, name, owner, in_tree in _logs(host, local, root):
        read = _tail(path, seen, os.O_NOFOLLOW if in_tree else 0)
        if isinstance(read, str):
            unread.append(f"{name}: {read}")
        elif read is not None:
            looked.append(name)
            found += [_owned(one, owner, in_tree=in_tree) for one in reports(*read, name)]
    found += _cores(host, local, root, looked)
    found += _systemd(looked)
    return Crashes(tuple(found[-MOST_CRASHES:]), tuple(looked), tuple(unread))


def _owned(crash: Crash, owner: int | None, *, in_tree: bool) -> Crash:
    from msgspec.structs import replace

    return replace(crash, owner=owner, in_tree=in_tree)


def _logs(host: Host, local: LocalProcesses, root: Path | None) -> Iterator[tuple[Path, str, int | None, bool]]:
    """Files to look at, what to call them, the worker that writes them, whether the application's root holds them."""
    for worker in local.all:
        for number in ("1", "2"):
            path = host.proc / str(worker.pid) / "fd" / number
            try:
                target = os.readlink(path)  # noqa: PTH115 - as text, whatever it says
            except OSError:
                continue
            if target.startswith("/") and not target.startswith(("/dev/", "/proc/")):
                yield path, clean(target), worker.pid, False
    for pattern in ("log/*.log", "hs_err*"):
        for path in sorted(root.glob(pattern), key=_changed, reverse=True)[:MOST_LOGS] if root else ():
            yield path, clean(str(path)), None, True


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _tail(path: Path, seen: set[tuple[int, int]], flags: int) -> tuple[bytes, float] | str | None:
    """The end of a plain file and when it was written last; None where it was read already, or is none; else why."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    except OSError as error:
        return str(error.strerror)
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) or (about.st_dev, about.st_ino) in seen:
            return None
        seen.add((about.st_dev, about.st_ino))
        file.seek(max(0, about.st_size - TAIL))
        return file.read(TAIL), about.st_mtime


def reports(raw: bytes, written_at: float, name: str) -> Iterator[Crash]:
    """Crash reports of Ruby and Python in a log."""
    for found in MARK.finditer(raw):
        before = raw[max(0, found.start() - BEFORE) : found.start()]
        after = raw[found.end() : found.end() + REPORT]
        stamps = [at for one in STAMP.finditer(before) if (at := _time(one)) is not None]
        pids = PID.findall(before)
        what = next(part for part in found.groups() if part).decode("utf-8", "backslashreplace")
        yield Crash(
            source=name,
            what=clean(what),
            at=stamps[-1] if stamps else written_at,
            exact=bool(stamps),
            pid=int(pids[-1]) if pids else None,
            program="ruby" if found["ruby"] else "python" if found["python"] else "java",
            library=_foreign(FRAME.findall(after)),
        )


def _time(found: re.Match[bytes]) -> float | None:
    """Epoch seconds; a stamp without a zone is this host's."""
    zone = (found[2] or b"").decode()
    try:  # a log's first and last years are no time here, once the zone is taken off
        return datetime.fromisoformat(found[1].decode().replace(" ", "T") + zone.replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return None


def _foreign(frames: Iterable[bytes]) -> str:
    paths = (frame.decode("utf-8", "backslashreplace") for frame in frames)
    return clean(next((one for one in paths if not own(one)), ""))


def _cores(host: Host, local: LocalProcesses, root: Path | None, looked: list[str]) -> Iterator[Crash]:
    """Core files of workers, in their directories and in the application's."""
    folders: list[tuple[Path, int | None]] = [(host.proc / str(one.pid) / "cwd", one.pid) for one in local.all]
    folders += [(root, None)] if root else []
    seen: set[tuple[int, int]] = set()
    for folder, owner in folders:
        for path in sorted(_named(folder), key=_changed, reverse=True)[:MOST_CORES]:
            try:
                about = path.lstat()
            except OSError:
                continue
            if not stat.S_ISREG(about.st_mode) or (about.st_dev, about.st_ino) in seen:
                continue
            seen.add((about.st_dev, about.st_ino))
            found = _core(path, about.st_mtime)
            if found is not None:
                looked.append(found.source)
                yield _owned(found, owner, in_tree=owner is None)


def _core(path: Path, written_at: float) -> Crash | None:
    """A worker's crash: where it was before Ruby or faulthandler answered the signal, raising another."""
    try:
        with opened(path) as core:
            notes, handled = core.notes, core.handled()
    except (NoCoreError, BrokenError):
        return None
    if notes.signal not in CRASHES or not WORKER.search(notes.arguments):
        return None
    number, library = notes.signal, notes.library
    if handled is not None:
        place = notes.at(handled[1].counter)
        number, library = handled[0].signal, place.path if place is not None else ""
    return Crash(
        clean(path.name), Signals(number).name, written_at, pid=notes.pid, program=clean(notes.program),
        library="" if own(library) else clean(library),
    )  # fmt: skip


def _named(folder: Path) -> list[Path]:
    """`core`, `core.123` and the like."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return []
    return [folder / name for name in names if re.fullmatch(r"core(?:[.-].{1,100})?", name)]


def _systemd(looked: list[str]) -> Iterator[Crash]:
    program = "/usr/bin/coredumpctl"
    if not Path("/run/systemd/system").is_dir() or not Path(program).exists():
        return
    import subprocess

    try:
        done = subprocess.run(
            [program, "list", "--json=short", "--no-pager", "--since=-24h"],
            capture_output=True, timeout=LONGEST, check=False, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return
    looked.append("coredumpctl")
    yield from listed(done.stdout)


def listed(raw: bytes) -> Iterator[Crash]:
    """What coredumpctl lists as JSON."""
    try:
        entries = json.loads(raw or b"[]")
    except (ValueError, RecursionError):
        return
    for one in entries if isinstance(entries, list) else ():
        fields = one if isinstance(one, dict) else {}
        number, micros = whole(fields.get("sig")), whole(fields.get("time"))
        if number in CRASHES and micros is not None:
            program = clean(str(fields.get("exe", "")))
            yield Crash(
                "coredumpctl", Signals(number).name, micros / 1e6, pid=whole(fields.get("pid")), program=program
            )
