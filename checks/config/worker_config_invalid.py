"""A worker's configuration is wrong, or says something else than its author meant.

## Why it hurts
A key that nobody reads changes nothing: the worker runs with defaults, and its author believes otherwise. Some mistakes
keep a worker from starting at all, which shows at the deploy.

In the log: nothing for a key that is not known; `Integer("five")`, `queues: default can only be defined once` or `Your
pool of 5 Redis connections is too small` for what Sidekiq refuses.

## How it is found
Formula: fails if a file is no YAML mapping, or a key != a known one by a slip, or a namespace key is set, or
concurrency < 1, or queues are no list, or a pool's `size` < the threads that it serves, or a queue is named twice

The threads that an initializer gives to a capsule, or to the default one, count like the file's.
A queue named twice keeps Sidekiq up to 6.5 from starting, and adds up weights from 7.0 on. Concurrency above CORES_RUBY
or CORES_PYTHON threads for each core of a limit, or above MOST where no limit is known, is low. A section that says
another concurrency than the top, and a weight above HEAVIEST, are medium. Pools: Sidekiq 5.2 wants more than the
threads, 6 two more, 7 and 8 as many as each capsule has.

## When it is wrong
A key of your own that your code reads from Sidekiq's options is told at low. Keys of scheduler, cron and limit plug-ins
are known.

## Confirm by hand
`ruby -ryaml -rerb -e 'p YAML.load(ERB.new(File.read("config/sidekiq.yml")).result)'`, and start a worker with `-v`.

## How to fix
Write the key that the finding names, or take the line out.

Risk: what was ignored for long takes effect now.

Undo: the old line.

## Unknown when
Embedded Ruby decides which lines there are, or computes a number from what no file says.

## Source
lib/sidekiq/cli.rb and config.rb, tag by tag (queues since 5.x, pools since 5.2.2); its wiki, Advanced Options.

- CORES_RUBY: threads for each core beyond which they wait for each other's interpreter lock; a choice.
- CORES_PYTHON: the same; a choice.
- MOST: threads that no measurement of Sidekiq's author found to be faster; his wiki says to stay below it.
- HEAVIEST: Sidekiq makes a list with each queue as often as its weight says; its wiki says not to go beyond ten.
"""

from collections.abc import Iterator
from difflib import get_close_matches

from packaging.version import Version

from kiqdoctor.doctor import Evidence, Finding, Location, Missing, NotApplicable, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.config import QueueLine, Setting, WorkerCommand, WorkerFile, WorkerSettings
from kiqdoctor.doctor.facts.deployment import Deployment, WorkerConfig
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.facts.settings import RedisSetting, RedisSettings
from kiqdoctor.doctor.versions import version_of
from kiqdoctor.wire.numbers import real

CORES_RUBY = 20
CORES_PYTHON = 25
MOST = 50
HEAVIEST = 10
NO_NUMBERS = frozenset({"flag", "list", "table"})
KNOWN = frozenset(
    {"concurrency", "queues", "timeout", "capsules", "max_retries", "environment", "require", "tag", "labels", "strict"}
    | {"verbose", "logfile", "pidfile", "daemon", "index", "poll_interval_average", "average_scheduled_poll_interval"}
    | {"dead_max_jobs", "dead_timeout_in_seconds", "on_complex_arguments", "backtrace_cleaner", "poll_interval"}
    | {
        "logged_job_attributes",
        "reap_idle_redis_connections",
        "max_iteration_runtime",
        "config_file",
        "fetch",
        "config",
    }
    | {"lifecycle_events", "error_handlers", "death_handlers", "reloader", "skip_default_job_logging", "log_level"}
    | {"profiling", "redis_idle_timeout", "logger", "heartbeat", "boot_timeout", "redis", "weights"}
    | {"scheduler", "schedule", "cron", "dynamic", "dynamic_every", "enabled", "listened_queues_only", "limits"}
    | {"process_limits", "blocking", "unpause", "rufus_scheduler_options", "rufus_scheduler", "cron_poll_interval"}
    | {"cron_schedule_file", "super_fetch", "reliable_fetch", "semi_reliable_fetch", "cleanup_interval", "throttled"}
    | {"lease_interval", "unique_jobs", "metrics", "web", "periodic", "limiter", "options", "aliases", "defaults"}
)
"""Keys of Sidekiq from 2 to 8 and of its plug-ins."""
MEANT = {"threads": "concurrency", "workers": "concurrency", "processes": "concurrency", "queue": "queues"}
ENVIRONMENTS = ("production", "staging", "development", "test")
READ = frozenset({"concurrency", "queues", "timeout", "capsules", "max_retries"})


@check("CFG001", severity=Severity.HIGH)
def worker_config_invalid(
    workers: WorkerSettings,
    deployment: Deployment | Missing,
    packages: Packages | Missing,
    settings: RedisSettings | Missing,
) -> Iterator[Verdict]:
    if not workers.files and not workers.commands:
        yield NotApplicable("no file of the application configures or starts workers")
        return
    version = _version(packages)
    unread = _unread(workers, packages)
    for file in () if unread else workers.files:
        yield from _of_file(file, version, _cores(file, workers.commands))
    for command in workers.commands:
        yield from _of_command(command, version)
    if isinstance(deployment, Deployment) and isinstance(settings, RedisSettings):
        yield from _pools(deployment, settings, version)
    for file in workers.files:
        if unread:
            yield Evidence(file.path, "nothing reads it: Sidekiq is not among the locked gems", unread)
            continue
        source = "Ruby" if file.path.endswith(".rb") else "YAML"
        yield Evidence(file.path, f"{counted(len(file.settings), 'key')}, {counted(len(file.queues), 'queue')}", source)
    yield Evidence("commands that start workers", str(len(workers.commands)), "the deployment's files")


def _version(packages: Packages | Missing) -> Version | None:
    return version_of(packages.version_of("ruby", "sidekiq")) if isinstance(packages, Packages) else None


def _unread(workers: WorkerSettings, packages: Packages | Missing) -> str:
    """The lock file of gems without Sidekiq, where no command starts it either; "" where it may run."""
    if workers.commands or not isinstance(packages, Packages):
        return ""
    gems = [one for one in packages.all if one.ecosystem == "ruby"]
    return "" if packages.unreadable or any(one.name.startswith("sidekiq") for one in gems) else _lock(gems)


def _lock(gems: list[Package]) -> str:
    return next((one.source for one in gems if one.source.endswith((".lock", ".locked"))), "")


def _cores(file: WorkerFile, commands: tuple[WorkerCommand, ...]) -> float | None:
    """The fewest that a worker with this file's threads may use; None where no limit is known."""
    own = (
        one
        for one in commands
        if one.program == "sidekiq" and "concurrency" not in dict(one.options) and not one.trial
        if dict(one.options).get("config", "config/sidekiq.yml").endswith(file.path)
    )
    return min((one.cores for one in own if one.cores is not None), default=None)


def _of_file(file: WorkerFile, version: Version | None, cores: float | None) -> Iterator[Verdict]:
    if file.problem:
        if file.branches:
            yield Unknown(f"{file.path}: {file.problem}, and what its embedded Ruby makes of it cannot be told")
        else:
            yield _finding(file.path, file.problem_line or 1, f"{file.path}: {file.problem}", "Mend the YAML.", "yaml")
        return
    keys = {one.key: one for one in file.settings}
    once: dict[tuple[str, int], Setting] = {}  # sections may share lines; what is read speaks for them
    for one in sorted(file.settings, key=_elsewhere):
        once.setdefault((one.key.rpartition(".")[2], one.line), one)
    for one in once.values():
        yield from _of_key(file, one, keys, cores)
    yield from _of_queues(file, version)


def _in_section(one: Setting) -> bool:
    """Whether it stands on top or in what may be an environment's section."""
    above = one.key.rpartition(".")[0]
    return not above or (above.partition(".")[0] not in KNOWN and "." not in above)


def _elsewhere(one: Setting) -> bool:
    return not _in_section(one)


def _of_key(file: WorkerFile, one: Setting, keys: dict[str, Setting], cores: float | None) -> Iterator[Verdict]:
    above, _, name = one.key.rpartition(".")
    top = above.partition(".")[0]
    section = _in_section(one)
    if section and one.kind != "table":
        yield from _of_name(file, one, name)
    if name == "concurrency" and (section or (top == "capsules" and above.count(".") == 1)):
        yield from _of_threads(file, one, cores)
    if name == "queues" and section and one.kind in {"text", "number", "flag"}:
        title = f"{one.key} of {file.path} is no list"
        yield _finding(file.path, one.line, title, "Write the queues as a list: `- default`.", one.key)
    if above and name == "concurrency" and section and "concurrency" in keys:
        yield from _shadowed(file, keys["concurrency"], one)


def _of_name(file: WorkerFile, one: Setting, name: str) -> Iterator[Verdict]:
    if name == "namespace":
        title = f"{file.path} sets a namespace, which Sidekiq does not read here"
        fix = "Set it where Redis is configured, for workers and clients alike, or use another database."
        yield _finding(file.path, one.line, title, fix, one.key)
        return
    if name in KNOWN:
        return
    near = MEANT.get(name) or next(iter(get_close_matches(name, sorted(KNOWN), n=1, cutoff=0.8)), "")
    if near:
        title = f"{one.key} of {file.path} is no key of Sidekiq's; {near} is"
        severity = Severity.HIGH if near in READ else Severity.MEDIUM
        yield _finding(file.path, one.line, title, f"Write {near}.", one.key, severity)
        return
    title = f"{one.key} of {file.path} is no key of Sidekiq's, nor of a plug-in that is known"
    yield _finding(file.path, one.line, title, "Take it out, unless your own code reads it.", one.key, Severity.LOW)


def _of_threads(file: WorkerFile, one: Setting, cores: float | None) -> Iterator[Verdict]:
    threads = real(one.value, least=-1e300, most=1e300)
    if one.kind in NO_NUMBERS or (threads is None and (one.value or one.kind == "text")):
        title = f"{one.key} of {file.path} is no number"
        yield _finding(file.path, one.line, title, "Write a whole number of threads.", one.key)
    elif threads is None:
        if one.kind == "computed":
            yield Unknown(f"{file.path}: {one.key} is computed from what no file says")
    elif threads < 1:
        title = f"{one.key} of {file.path} is {one.value}: no thread would run a job"
        yield _finding(file.path, one.line, title, "Write a whole number of threads, 1 or more.", one.key)
    elif threads > (most := _most(CORES_RUBY, cores)):
        title = f"{one.key} of {file.path} is {one.value}: more than {most} threads{_on(cores)} wait for each other"
        yield _finding(file.path, one.line, title, f"At most {most}; more processes instead.", one.key, Severity.LOW)


def _most(each: int, cores: float | None) -> int:
    return MOST if cores is None else max(each, int(each * cores))


def _on(cores: float | None) -> str:
    return "" if cores is None else f" on {cores:g} core{'' if cores == 1 else 's'}"


def _shadowed(file: WorkerFile, above: Setting, one: Setting) -> Iterator[Verdict]:
    if one.value and above.value and one.value != above.value:
        title = f"{one.key} = {one.value} of {file.path} wins over concurrency = {above.value} on top"
        fix = "Say it once, or leave a comment at the one on top."
        yield _finding(file.path, one.line, title, fix, one.key, Severity.MEDIUM)


def _of_queues(file: WorkerFile, version: Version | None) -> Iterator[Verdict]:
    lists: dict[str, list[QueueLine]] = {}
    for one in file.queues:
        lists.setdefault(one.within, []).append(one)
    for within, queues in lists.items():
        names = [one.name for one in queues]
        where = f"{file.path}{f', {within}' if within else ''}"
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1 and "<%" not in name]
        if twice and file.branches:
            yield Unknown(f"{where} names {twice[0]} twice, in lines of which its embedded Ruby may choose one")
        elif twice:
            yield _twice(file.path, queues[0].line, f"{where} names the queue {twice[0]} twice", twice[0], version)
        for one in queues:
            if one.weight is not None and one.weight > HEAVIEST:
                yield _heavy(file.path, one.line, where, one.name, one.weight)


def _heavy(path: str, line: int, where: str, name: str, weight: int) -> Finding:
    title = f"{where}: the weight of {name} is {weight}"
    fix = f"Weights from 1 to {HEAVIEST} say the same; for strict order leave them out."
    return _finding(path, line, title, fix, f"weight:{name}", Severity.MEDIUM)


def _twice(path: str, line: int, title: str, name: str, version: Version | None) -> Verdict:
    if version is None:
        return Unknown(f"{title}, which up to Sidekiq 6.5 keeps it from starting; its version is not known")
    if version >= Version("7"):
        text = f"{title}: their weights add up"
        return _finding(path, line, text, "Name it once, with the weight that is meant.", f"twice:{name}", Severity.LOW)
    return _finding(path, line, f"{title}: Sidekiq {version} does not start", "Name it once.", f"twice:{name}")


def _of_command(one: WorkerCommand, version: Version | None) -> Iterator[Verdict]:
    threads = [value for name, value in one.options if name == "concurrency"]
    asked = [value.partition(",") for name, value in one.options if name == "queue"]
    queues = [name for name, _, _ in asked]
    for value in threads:
        plain = value.strip()
        if plain.lstrip("-").isdecimal() and int(plain) < 1:
            title = f"{one.path} starts {one.program} with {plain} threads"
            yield _finding(one.path, one.line, title, "Give it 1 or more.", "concurrency")
        elif plain and not plain.isdecimal() and not any(mark in plain for mark in "$<{%"):
            title = f"{one.path} starts {one.program} with a concurrency that is no number"
            yield _finding(one.path, one.line, title, "Give it a whole number.", "concurrency")
        elif plain.isdecimal():
            yield from _too_many(one, int(plain))
    for name, _, weight in asked:
        if weight.isdecimal() and len(weight) < len("1000000") and int(weight) > HEAVIEST:
            yield _heavy(one.path, one.line, one.path, name, int(weight))
    twice = [name for name in dict.fromkeys(queues) if queues.count(name) > 1]
    if twice and one.program != "kiqdoctor":
        yield _twice(one.path, one.line, f"{one.path} names the queue {twice[0]} twice", twice[0], version)


def _too_many(one: WorkerCommand, threads: int) -> Iterator[Verdict]:
    each = CORES_PYTHON if one.program == "kiqdoctor" else CORES_RUBY
    most = _most(each, one.cores)
    if threads > most:
        title = f"{one.path} starts {one.program} with {counted(threads, 'thread')}{_on(one.cores)}"
        fix = f"At most {most}; more processes instead."
        yield _finding(one.path, one.line, title, fix, "threads", Severity.LOW)


def _pools(deployment: Deployment, settings: RedisSettings, version: Version | None) -> Iterator[Verdict]:
    sized = [one for one in settings.all if one.role == "server" and one.pool_size and one.language == "ruby"]
    for worker in deployment.workers:
        for setting in sized[:1]:
            if worker.language == "ruby" and worker.concurrency:
                yield from _pool(worker, setting, version)


def _pool(worker: WorkerConfig, setting: RedisSetting, version: Version | None) -> Iterator[Verdict]:
    threads, size = worker.concurrency or 0, setting.pool_size or 0
    if version is None:
        if size < threads + 2:
            yield Unknown(f"a pool of {size} for {threads} threads; Sidekiq's version is not known")
        return
    if version < Version("5.2"):
        return
    most = max((threads, *(own for _, own in worker.capsules)))
    need = most if version >= Version("7") else threads + (2 if version >= Version("6") else 1)
    if size < need:
        yield _finding(
            setting.path,
            setting.line,
            f"A pool of {size} connections serves {counted(most, 'thread')}: Sidekiq {version} does not start",
            f"Leave `size` out, or set it to {need} or more.",
            "size",
        )


def _finding(path: str, line: int, title: str, fix: str, key: str, severity: Severity | None = None) -> Finding:
    return Finding(
        f"file:{path}",
        title,
        fix,
        (Evidence("line", f"{path}:{line}"),),
        severity,
        location=Location(path, line),
        key=key,
    )
