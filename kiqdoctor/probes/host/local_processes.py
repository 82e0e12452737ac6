"""This host's worker processes, from /proc alone: nothing is signalled, nothing is attached to."""

import os
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from kiqdoctor.connection import UrlError, shown_url
from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses, WebProcess
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.tools import Host
from kiqdoctor.probes.host.cgroups import frozen, groups, mounted, throttled
from kiqdoctor.probes.host.files import DELETED, beneath, link, listed, plain, read, undeleted
from kiqdoctor.probes.host.recognise import Title, recognise, serves
from kiqdoctor.probes.host.sockets import connections, own_addresses
from kiqdoctor.records import dataclass
from kiqdoctor.text import clean
from kiqdoctor.wire.numbers import whole

RELEASES: Final = "/releases/"
OPTION: Final = "--redis"  # of our own worker
NAMESPACE: Final = "--namespace"
FIRST: Final = 1  # a process that every pid namespace has
VEILED: Final = "/proc shows this user its own processes only (hidepid): workers of others may run here, unseen"
MOST_TASKS: Final = 500  # threads of one process whose names are read
CORE: Final = "Max core file size"  # the line of /proc/PID/limits
TELLING: Final = ("PYTHONFAULTHANDLER", "PYTHONDEVMODE", "MALLOC_ARENA_MAX", "LD_PRELOAD")
"""Variables of which it matters that they are set."""
LONGEST_NAME: Final = 300  # bytes: the kernel takes 64
MOST_WEB: Final = 200  # web processes that are told
MAPS_LIMIT: Final = 4 * 1024 * 1024  # bytes of one maps file


ENDED: Final = frozenset("ZX")  # a zombie's pid is taken until its parent reaps it, which many a container's never does


@dataclass(frozen=True, slots=True)
class Stat:
    """What every process shows of itself."""

    comm: str
    state: str
    ppid: int
    started_at: float
    ticks: int


@probe(
    Read("/proc/*/stat, cmdline", "", "one small read a process"),
    Read("/proc/PID/status, limits, task/*/comm and schedstat, cgroup", "", "workers only"),
    Read("/proc/PID/cwd, exe, maps, environ, fd, net/tcp", "same user or root", "workers only"),
    Read("cpu.stat and the freezer of a worker's cgroup", "", "two small reads a worker"),
    lane=Lane.HOST,
    deadline_s=20.0,
)
def local_processes(host: Host) -> LocalProcesses:
    """Workers by their titles and commands; what this user may not see is counted, not guessed."""
    proc = host.proc
    booted = _booted(proc)
    if booted is None:
        raise RefusalError(f"{proc} cannot be read", "a Linux host with /proc mounted")
    pids = [int(name) for name in listed(proc) if name.isdigit()]
    stats = {pid: stat for pid in pids if (stat := _stat(proc / str(pid), booted)) is not None}
    mounts = mounted(proc)
    workers, web, hidden = [], [], 0
    for pid, stat in stats.items():
        folder = proc / str(pid)
        cmdline = read(folder / "cmdline") or b""
        title = recognise(folder, cmdline) if cmdline and stat.state != "Z" else None
        if title is not None:
            worker = _worker(pid, folder, title, stat, stats, mounts)
            hidden += worker.cwd is None
            workers.append(worker)
        elif cmdline and serves(cmdline):
            web.append(_web(pid, folder, cmdline))
    return LocalProcesses(
        hostname=(read(proc / "sys/kernel/hostname") or b"").decode("utf-8", "replace").strip(),
        all=tuple(workers),
        hidden=hidden,
        pid_namespace=link(proc / "self/ns/pid") or "",
        uts_namespace=link(proc / "self/ns/uts") or "",
        pids=frozenset(pid for pid, stat in stats.items() if stat.state not in ENDED),
        start_times={pid: stat.started_at for pid, stat in stats.items()},
        addresses=own_addresses(proc),
        partial="" if FIRST in stats else VEILED,
        cores=os.cpu_count() or 1,
        web=tuple(web[:MOST_WEB]),
    )


def _booted(proc: Path) -> int | None:
    for line in (read(proc / "stat") or b"").splitlines():
        if line.startswith(b"btime "):
            return int(line.split()[1])
    return None


def _stat(folder: Path, booted: int) -> Stat | None:
    raw = (read(folder / "stat") or b"").decode("utf-8", "backslashreplace")
    head, _, tail = raw.rpartition(")")
    cells = tail.split()
    if len(cells) < 20:  # noqa: PLR2004 - the start time is the twentieth after the name
        return None
    ticks = os.sysconf("SC_CLK_TCK")
    started_at, used = booted + int(cells[19]) / ticks, int(cells[11]) + int(cells[12])
    return Stat(head.partition("(")[2], cells[0], int(cells[1]), started_at, used)


def _worker(
    pid: int, folder: Path, title: Title, stat: Stat, stats: dict[int, Stat], mounts: dict[str, tuple[str, Path]]
) -> LocalProcess:
    cwd, cwd_deleted = undeleted(link(folder / "cwd"))
    exe, exe_deleted = undeleted(link(folder / "exe"))
    release, current = _releases(folder, cwd)
    sockets, unread = connections(folder)
    parent = stats.get(stat.ppid)
    status = _status(folder)
    names, count, waited_s = _threads(folder)
    environ = read(folder / "environ")
    own = groups(folder, mounts)
    cmdline = read(folder / "cmdline") or b""
    return LocalProcess(
        pid=pid,
        kind=title.kind,
        title=cmdline.replace(b"\0", b" ").decode("utf-8", "backslashreplace").strip()[:300],
        version=title.version,
        tag=title.tag,
        busy=title.busy,
        concurrency=title.concurrency,
        stopping=title.stopping,
        state=stat.state,
        ppid=stat.ppid,
        parent=parent.comm if parent else "",
        parent_start_unix=parent.started_at if parent else None,
        started_at=stat.started_at,
        uid=_whole(status.get("Uid", "").split()[:1]),
        namespace_pids=tuple(int(word) for word in status.get("NSpid", "").split()) or (pid,),
        cwd=cwd,
        cwd_deleted=cwd_deleted,
        exe=exe,
        exe_deleted=exe_deleted,
        deleted_libraries=_deleted_libraries(folder),
        release=release,
        current_release=current,
        cgroup=_cgroup(folder),
        redis=_told(cmdline) or _redis(environ or b""),
        namespace=_namespace(cmdline) if title.kind == "kiqdoctor" else None,
        sockets=sockets,
        unread_bytes=sum(waiting for _, waiting in unread),
        unread=unread,
        threads=names,
        thread_count=count,
        ticks=stat.ticks,
        waited_s=waited_s,
        caught=_mask(status.get("SigCgt", "")),
        core_bytes=_core(folder),
        settings=None if environ is None else _settings(environ),
        logs=_logs(folder),
        frozen=frozen(own),
        throttled=throttled(own),
        home=_home(folder, cwd),
        default_redis=_default(environ or b"", cmdline, ours=title.kind == "kiqdoctor"),
        host_names=host_names(folder, environ or b""),
    )


def host_names(folder: Path, environ: bytes) -> tuple[str, ...]:
    """What a process may call its host: a container has a name of its own, which its root and environment hold."""
    file = beneath(folder / "root", "/etc/hostname")
    told = [(plain(file, LONGEST_NAME) or b"").strip()] if file else []
    told += [entry[9:LONGEST_NAME] for entry in environ.split(b"\0") if entry.startswith(b"HOSTNAME=")]
    return tuple(dict.fromkeys(one.decode("utf-8", "backslashreplace") for one in told if one))


def _web(pid: int, folder: Path, cmdline: bytes) -> WebProcess:
    environ = read(folder / "environ")
    title = cmdline.replace(b"\0", b" ").decode("utf-8", "backslashreplace").strip()[:300]
    home = _home(folder, undeleted(link(folder / "cwd"))[0])
    if environ is None:
        return WebProcess(pid, title, home)
    return WebProcess(pid, title, home, _redis(environ), _default(environ, cmdline, ours=False))


def _home(folder: Path, cwd: str | None) -> str:
    """Its application's folder, the same for all releases; equal paths in two containers are not the same folder."""
    app, found, _ = _inside(folder, cwd or "").rpartition(RELEASES)
    try:
        told = os.stat(folder / "root" / app.lstrip("/") if found else folder / "cwd")  # noqa: PTH116 - as /proc has it
    except (OSError, ValueError):
        return ""
    return f"{told.st_dev}:{told.st_ino}"


def _inside(folder: Path, path: str) -> str:
    """A path as the process itself has it, who may live under another root."""
    root = (link(folder / "root") or "/").rstrip("/")
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


def _status(folder: Path) -> dict[str, str]:
    lines = (read(folder / "status") or b"").decode("utf-8", "replace").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _whole(words: list[str]) -> int | None:
    return int(words[0]) if words else None


def _mask(text: str) -> int | None:
    """A mask of signals, which the kernel writes in hexadecimal."""
    try:
        return int(text, 16)
    except ValueError:
        return None


def _threads(folder: Path) -> tuple[tuple[tuple[str, int], ...], int | None, float | None]:
    """How many threads bear each name, how many there are, and how many seconds they waited for a core."""
    ids = listed(folder / "task")
    tasks = [folder / "task" / task for task in ids[:MOST_TASKS]]
    names = Counter((read(one / "comm") or b"").decode("utf-8", "backslashreplace").rstrip("\n") for one in tasks)
    told = [(read(one / "schedstat") or b"").split() for one in tasks]
    waited = [int(words[1]) for words in told if len(words) > 1 and words[1].isdigit()]
    return tuple(names.most_common()), len(ids) or None, sum(waited) / 1e9 if waited else None


def _core(folder: Path) -> int | None:
    """The soft limit of a core file; -1 where there is none."""
    for line in (read(folder / "limits") or b"").decode("ascii", "replace").splitlines():
        if line.startswith(CORE):
            soft = line.removeprefix(CORE).split()[0]
            return -1 if soft == "unlimited" else whole(soft)
    return None


def _settings(environ: bytes) -> tuple[str, ...]:
    """Names only: what they are set to is nobody's business."""
    names = {entry.partition(b"=")[0] for entry in environ.split(b"\0") if not entry.endswith(b"=")}
    return tuple(name for name in TELLING if name.encode() in names)


def _logs(folder: Path) -> tuple[str, ...]:
    """Plain files behind standard output and standard error."""
    targets = (link(folder / "fd" / number) or "" for number in ("1", "2"))
    return tuple(
        dict.fromkeys(one for one in targets if one.startswith("/") and not one.startswith(("/dev/", "/proc/")))
    )


def _releases(folder: Path, cwd: str | None) -> tuple[str, str]:
    """The release that a working directory lies in, and the one that its own `current` beside that points to."""
    app, found, below = (cwd or "").rpartition(RELEASES)
    name = below.partition("/")[0]
    if not found or not name:
        return "", ""
    home = beneath(folder / "root", _inside(folder, app))
    linked = home is not None and (home / "current").is_symlink()
    return f"{app}{RELEASES}{name}", _current(folder, app) if linked else ""


def _current(folder: Path, app: str) -> str:
    """Where that link leads, as the process has it; in a chroot else as who made it from outside has it."""
    root, own = folder / "root", _inside(folder, app)
    target = beneath(root, f"{own}/current")
    if target is not None:
        return f"{app.removesuffix(own)}/{target.relative_to(root)}"
    outside = (link(root) or "/").rstrip("/")
    try:
        found = str(Path(app, "current").resolve(strict=True)) if outside else ""
    except (OSError, RuntimeError):
        return ""
    return found if found.startswith(f"{outside}/") else ""


def _deleted_libraries(folder: Path) -> tuple[str, ...]:
    raw = (read(folder / "maps", MAPS_LIMIT) or b"").decode("utf-8", "backslashreplace")
    paths = (line.split(None, 5)[-1] for line in raw.splitlines() if line.endswith(DELETED) and ".so" in line)
    return tuple(
        dict.fromkeys(path.removesuffix(DELETED) for path in paths if path.startswith("/") and "memfd" not in path)
    )


def _cgroup(folder: Path) -> str:
    lines = (read(folder / "cgroup") or b"").decode("utf-8", "replace").splitlines()
    return max((line.split(":", 2)[-1] for line in lines), key=len, default="")


def _told(cmdline: bytes) -> tuple[str, ...]:
    """The address in a worker's own command, which goes before its environment's."""
    return tuple(f"{OPTION}={shown}" for url in _values(cmdline, OPTION) if (shown := _shown(url)))


def _namespace(cmdline: bytes) -> str | None:
    """What its command names last, without the colon that may end it."""
    return next((clean(one.rstrip(":")) for one in reversed(_values(cmdline, NAMESPACE))), None)


def _values(cmdline: bytes, option: str) -> list[str]:
    """What a command gives to an option, in either way to write it."""
    words = [word.decode("utf-8", "backslashreplace") for word in cmdline.split(b"\0")]
    found: list[str] = []
    for word, after in pairwise([*words, ""]):
        if word == option:
            found.append(after)
        elif word.startswith(f"{option}="):
            found.append(word.partition("=")[2])
    return found


def _default(raw: bytes, cmdline: bytes, *, ours: bool) -> str:
    """Whom the library asks where nothing in the code says otherwise: REDIS_PROVIDER's variable, else REDIS_URL."""
    pairs = (entry.decode("utf-8", "backslashreplace").partition("=")[::2] for entry in raw.split(b"\0"))
    environ = dict(pairs)
    told = [one.partition("=")[2] for one in _told(cmdline)] if ours else []
    names = [*(["KIQDOCTOR_REDIS_URL"] if ours else []), environ.get("REDIS_PROVIDER") or "REDIS_URL"]
    return next(iter([*told, *(shown for name in names if (shown := _shown(environ.get(name, ""))))]), "")


def _redis(raw: bytes) -> tuple[str, ...]:
    """Redis addresses of its environment, users and passwords taken off at once."""
    pairs = (
        entry.decode("utf-8", "backslashreplace").partition("=")[::2] for entry in raw.split(b"\0") if b"=" in entry
    )
    environ = {name: value for name, value in pairs if "REDIS" in name or "://" in value}
    provider = environ.get("REDIS_PROVIDER", "")
    wanted = [name for name in environ if name == provider or "URL" in name.partition("REDIS")[2]]
    return tuple(f"{name}={shown}" for name in sorted(wanted) if (shown := _shown(environ[name])))


def _shown(url: str) -> str:
    try:
        return shown_url(url) if urlsplit(url).scheme in {"redis", "rediss", "unix"} else ""
    except (UrlError, ValueError):
        return ""
