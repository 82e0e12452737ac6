"""``kiqdoctor work``: run the embedded queue runtime as a worker process."""

import gc
import os
import sys
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

import click

from kiqdoctor.cli.words import options as words
from kiqdoctor.cli.words.configured import Configured
from kiqdoctor.examining.configuration import Configuration
from kiqdoctor.version import __version__


@click.command("work", cls=Configured)
@click.argument("modules", nargs=-1, required=True, metavar="MODULE...")
@click.option(
    "-c", "--concurrency", type=click.IntRange(1, 1000), default=5, show_default=True, help="Processor threads."
)
@click.option("-q", "--queue", "queues", multiple=True, metavar="NAME[,WEIGHT]", help="Repeatable; default: default.")
@click.option("-t", "--timeout", type=click.FloatRange(0), default=25.0, show_default=True, help="Seconds TERM waits.")
@click.option("--redis", metavar="URL", help="redis://, rediss:// or unix:// address.")
@click.option("--namespace", metavar="NAME", help="Use the keys under NAME:.")
@click.option("--embedded", is_flag=True, help="Start the embedded Redis and work on that.")
@click.option("--fetch", type=click.Choice(["reliable", "basic"]), default="reliable", show_default=True)
@click.option("-e", "--environment", default="", help="Name of the environment, for your own code (APP_ENV).")
@click.option("--health", metavar="[HOST:]PORT", help="Serve /livez, /readyz and /metrics there.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@words.configuration
@click.option("--tag", default="", help="Shown in the process list; default: the directory's name.")
def command(
    *,
    modules: tuple[str, ...],
    concurrency: int,
    queues: tuple[str, ...],
    timeout: float,
    redis: str | None,
    namespace: str | None,
    embedded: bool,
    fetch: str,
    environment: str,
    health: str | None,
    log_format: str,
    tag: str,
    configuration: Configuration,
    **_files: object,
) -> int:
    """Import every MODULE, then run the jobs that they define."""
    from kiqdoctor.connection import UrlError
    from kiqdoctor.runtime import config, log, signals
    from kiqdoctor.runtime.capsule import Capsule, parse_queues
    from kiqdoctor.runtime.launcher import Launcher, WorkerOptions

    if embedded and redis:
        raise click.UsageError("--embedded and --redis exclude each other")
    if environment:
        os.environ["APP_ENV"] = environment
    with ExitStack() as stack:
        try:
            chosen = Capsule("default", concurrency, parse_queues(queues))
            if health:
                _checked_bind(health)
            url = _embedded(stack) if embedded else redis or _from_file(configuration)
            config.override(redis=url, namespace=namespace)
        except (ValueError, UrlError) as error:
            raise click.UsageError(str(error)) from None
        _import(modules)
        config.override(redis=url, namespace=namespace)
        settings = config.current()
        log.use(log_format)
        launcher = Launcher(
            WorkerOptions(settings, chosen, timeout, fetch, tag or Path.cwd().name, environment, health=health or "")
        )
        gc.freeze()  # what was imported lives as long as the process: no collection has to look at it again
        arrived = signals.listen()
        try:
            launcher.start()
            found = launcher.budget()
        except Exception as error:  # noqa: BLE001 - whatever keeps us from Redis is one line
            click.echo(f"kiqdoctor: cannot start: {type(error).__name__}: {' '.join(str(error).split())}", err=True)
            return 1
        names = ", ".join(chosen.names)
        log.info(f"kiqdoctor {__version__} runs {concurrency} threads on {names} at {settings.where}, {fetch} fetch")
        (log.warn if found.short else log.info)(found.line)
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


def _set_up_django() -> None:
    from kiqdoctor.integrations.django import setup

    try:
        setup()
    except Exception as error:  # noqa: BLE001 - settings may fail in any way
        raise click.UsageError(f"cannot set up Django: {type(error).__name__}: {error}") from None


def _import(modules: tuple[str, ...]) -> None:
    """All of them before any thread starts; the current directory is importable."""
    from kiqdoctor.runtime.job import REGISTRY

    sys.path.insert(0, str(Path.cwd()))
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        _set_up_django()
    for name in modules:
        try:
            import_module(name.removesuffix(".py").replace("/", "."))
        except Exception as error:  # noqa: BLE001 - a module may fail in any way
            raise click.UsageError(f"cannot import {name}: {type(error).__name__}: {error}") from None
    if not REGISTRY:
        raise click.UsageError(f"{', '.join(modules)}: no job is defined there; decorate a function with @job")
