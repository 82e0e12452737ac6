"""``kiqdoctor work``: run the embedded queue runtime as a worker process."""

import gc
import importlib
import os
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kiqdoctor.cli.words import options as words
from kiqdoctor.cli.words.configured import Configured
from kiqdoctor.examining.configuration import Configuration
from kiqdoctor.text import clean
from kiqdoctor.version import __version__

SHOWN = 3  # jobs of a queue that nobody takes

if TYPE_CHECKING:
    from kiqdoctor.runtime.capsule import Capsule
    from kiqdoctor.runtime.options import WorkerOptions
    from kiqdoctor.runtime.supervising.link import Birth


@click.command("work", cls=Configured)
@click.argument("modules", nargs=-1, metavar="MODULE...")
@click.option(
    "-c", "--concurrency", type=click.IntRange(1, 1000), default=5, show_default=True, help="Processor threads."
)
@click.option("-q", "--queue", "queues", multiple=True, metavar="NAME[,WEIGHT]", help="Repeatable; default: default.")
@click.option(
    "--capsule", "capsules", multiple=True, metavar="NAME:THREADS:QUEUE,QUEUE", help="Repeatable: threads of their own."
)
@click.option("-t", "--timeout", type=click.FloatRange(0), default=25.0, show_default=True, help="Seconds TERM waits.")
@click.option("--redis", metavar="URL", help="redis://, rediss:// or unix:// address.")
@click.option("--namespace", metavar="NAME", help="Use the keys under NAME:.")
@click.option("--embedded", is_flag=True, help="Start the embedded Redis and work on that.")
@click.option("--fetch", type=click.Choice(["reliable", "basic"]), default="reliable", show_default=True)
@click.option("-e", "--environment", default="", help="Name of the environment, for your own code (APP_ENV).")
@click.option("--health", metavar="[HOST:]PORT", help="Serve /livez, /readyz and /metrics there.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--processes", type=click.IntRange(1, 1000), default=1, show_default=True, help="Worker processes under one parent."
)
@click.option("--max-jobs", type=click.IntRange(0), default=0, metavar="N", help="Replace a process after so many.")
@click.option("--max-rss", type=click.IntRange(0), default=0, metavar="MIB", help="Replace a process that holds more.")
@click.option(
    "--stuck-after", type=click.FloatRange(0), default=0.0, metavar="SECONDS", help="Kill a process silent so long."
)
@click.option("--preload", is_flag=True, help="Import the modules once, and fork the processes from there (Linux).")
@click.option("--reload", is_flag=True, help="Development: start again when a source file changes.")
@words.configuration
@click.option("--tag", default="", help="Shown in the process list; default: the directory's name.")
def command(
    *,
    modules: tuple[str, ...],
    concurrency: int,
    queues: tuple[str, ...],
    capsules: tuple[str, ...],
    timeout: float,
    redis: str | None,
    namespace: str | None,
    embedded: bool,
    fetch: str,
    environment: str,
    health: str | None,
    log_format: str,
    processes: int,
    max_jobs: int,
    max_rss: int,
    stuck_after: float,
    preload: bool,
    reload: bool,
    tag: str,
    configuration: Configuration,
    **_files: object,
) -> int:
    """Import every MODULE, then run the jobs that they define, in worker processes under one small parent."""
    from kiqdoctor.connection import UrlError
    from kiqdoctor.runtime import config, log, records
    from kiqdoctor.runtime.capsule import Capsule, parse_queues, with_others
    from kiqdoctor.runtime.supervised import health as own_health
    from kiqdoctor.runtime.supervising.link import birth

    if not modules and not os.environ.get("DJANGO_SETTINGS_MODULE"):
        raise click.UsageError("Missing argument 'MODULE...'.")
    if embedded and redis:
        raise click.UsageError("--embedded and --redis exclude each other")
    if preload and reload:
        raise click.UsageError("--preload and --reload exclude each other")
    if environment:
        os.environ["APP_ENV"] = environment
    born = birth()
    with ExitStack() as stack:
        try:
            chosen = with_others(Capsule("default", concurrency, parse_queues(queues)), capsules)
            if health:
                _checked_bind(health)
            url = (born.redis if born is not None else None) or redis or _from_file(configuration)
            if embedded and born is None:
                url = _embedded(stack)
            config.override(redis=url, namespace=namespace)
        except (ValueError, UrlError) as error:
            raise click.UsageError(str(error)) from None
        log.use(log_format)
        if born is None:
            limits = Limits(processes * len(chosen), timeout, stuck_after, max_jobs, max_rss, log_format, preload)
            return _supervise(limits, url if embedded else None)
        _leave_stacks()
        began = time.time_ns()
        records.name()
        _import(modules)
        if born.template:
            from kiqdoctor.runtime.preloaded import forked

            born = forked(born)
        records.adopt()
        untaken = _untaken(chosen) if born.number == 0 else ""  # one process says it for all
        config.override(redis=url, namespace=namespace)
        from kiqdoctor.runtime.options import WorkerOptions

        options = WorkerOptions(
            config.current(), chosen[born.number % len(chosen)], timeout, fetch, tag or Path.cwd().name, environment,
            health=own_health(health or "", born), again=born.again,
        )  # fmt: skip
        return _work(options, born, untaken, began if reload else None)


def _leave_stacks() -> None:
    """A crash in native code writes every thread's stack; nothing where there is no standard error to write to."""
    import faulthandler

    with suppress(OSError, ValueError, RuntimeError):
        faulthandler.enable()


@dataclass(frozen=True, slots=True)
class Limits:
    """What the parent is told of its children."""

    processes: int
    timeout_s: float
    stuck_after_s: float
    max_jobs: int
    max_rss_mib: int
    log_format: str
    preload: bool


def _supervise(limits: Limits, embedded: str | None) -> int:
    """Become the parent: this program anew, without what only a command line needs. An embedded Redis keeps us here."""
    from kiqdoctor.runtime.supervising.orders import Orders

    program = [sys.executable, *_flags(sys.orig_argv[1:]), "-m", "kiqdoctor"]
    orders = Orders([*program, *sys.argv[1:]], **asdict(limits), redis=embedded)
    if embedded is None:
        os.execv(  # noqa: S606 - without a shell, on purpose
            sys.executable, [*program, "--supervise", orders.encode()]
        )
    from kiqdoctor.runtime.supervising.supervisor import Supervisor

    return Supervisor(orders).run()


def _flags(words: Sequence[str]) -> list[str]:
    """What this Python was started with, beside its environment, which is inherited."""
    found: list[str] = []
    for word in words:
        valued = bool(found) and found[-1] in {"-W", "-X"}
        if not valued and (not word.startswith("-") or word in {"-m", "-c", "-"}):
            break
        found.append(word)
    return found


def _work(options: "WorkerOptions", born: "Birth", untaken: str, reload_since: int | None) -> int:
    """Be a worker process until told to stop, or, where it looks at its source files, until they change."""
    from kiqdoctor.runtime import log, signals
    from kiqdoctor.runtime.launcher import Launcher
    from kiqdoctor.runtime.supervised import Parent

    launcher, parent, capsule = Launcher(options), Parent(born), options.capsule
    gc.freeze()  # what was imported lives as long as the process: no collection has to look at it again
    arrived = signals.listen()
    try:
        parent.start(launcher, arrived, options.settings.url)
        launcher.start()
        found = launcher.budget()
    except Exception as error:  # noqa: BLE001 - whatever keeps us from Redis is one line
        click.echo(f"kiqdoctor: cannot start: {type(error).__name__}: {' '.join(str(error).split())}", err=True)
        return 1
    names, where = ", ".join(capsule.names), options.settings.where
    log.info(f"kiqdoctor {__version__} runs {capsule.concurrency} threads on {names} at {where}, {options.fetch} fetch")
    (log.warn if found.short else log.info)(found.line)
    if untaken:
        log.info(untaken)
    if born.quiet:
        launcher.quiet()
    parent.ready()
    if reload_since is not None:
        from kiqdoctor.runtime.reloading import watch

        watch(reload_since, parent.changed)
    signals.serve(launcher, arrived)
    return 0


def _embedded(stack: ExitStack) -> str:
    from kiqdoctor.examining.embedded import started

    server = started(stack)
    click.echo(server.line, err=True)
    return server.url


def _from_file(configuration: Configuration) -> str | None:
    """The file's address, where the environment names none."""
    from kiqdoctor.connection import resolve_url

    return None if resolve_url(None, os.environ).named else configuration.redis


def _checked_bind(text: str) -> None:
    from kiqdoctor.runtime.health import parse_bind

    parse_bind(text)


def _untaken(capsules: Sequence["Capsule"]) -> str:
    """Which queues of the jobs that were imported nobody takes here: ``-q`` forgotten, or another worker's."""
    from kiqdoctor.runtime.job import REGISTRY

    taken = {name for capsule in capsules for name in capsule.names}
    others: dict[str, list[str]] = {}
    for job in REGISTRY.values():
        if job.options.queue not in taken:
            others.setdefault(job.options.queue, []).append(job.shown)
    listed = ", ".join(f"{clean(queue)} ({_some(jobs)})" for queue, jobs in others.items())
    return f"not taken here: {listed}; -q takes a queue, or another worker has to" if others else ""


def _some(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= SHOWN else f"{', '.join(names[:SHOWN])} and {len(names) - SHOWN} more"


def _set_up_django() -> None:
    from kiqdoctor.integrations.django import setup

    try:
        setup()
    except Exception as error:  # noqa: BLE001 - settings may fail in any way
        raise click.UsageError(f"cannot set up Django: {type(error).__name__}: {error}") from None


def _place(error: BaseException) -> str:
    """Where it was raised, or what could not be imported is named; a syntax error says so itself."""
    if isinstance(error, SyntaxError):
        return ""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if not one.filename.startswith("<frozen ")]
    last = frames[-1]
    if last.filename in {__file__, importlib.__file__}:
        return ""
    file = Path(last.filename)
    return f" ({file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file}:{last.lineno})"


def _import(modules: tuple[str, ...]) -> None:
    """All of them before any thread starts; the current directory is importable."""
    from kiqdoctor.runtime.job import REGISTRY

    sys.path.insert(0, str(Path.cwd()))
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        _set_up_django()
    for name in modules:
        dotted = name.removesuffix(".py").removeprefix("./").rstrip("/").replace("/", ".")
        if ":" in name or not all(dotted.split(".")):
            raise click.UsageError(f"cannot import {name}: a module is named as in Python's import: shop.jobs")
        try:
            importlib.import_module(dotted)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a module may fail in any way
            said = f"{type(error).__name__}: {' '.join(str(error).split())}{_place(error)}"
            raise click.UsageError(f"cannot import {name}: {said}") from None
    if not REGISTRY:
        where = ", ".join(modules) or "jobs.py of the installed applications"
        raise click.UsageError(f"{where}: no job is defined there; decorate a function with @job")
