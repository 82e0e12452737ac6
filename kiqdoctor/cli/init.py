"""``kiqdoctor init``: a commented configuration for what is found here."""

import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from kiqdoctor.cli.words import file as configuration_file
from kiqdoctor.cli.words import schema
from kiqdoctor.cli.words.configured import by_hand, settings
from kiqdoctor.cli.words.output import write
from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.doctor.check import Check
from kiqdoctor.doctor.facts.deployment import Deployment
from kiqdoctor.doctor.facts.engine import Threshold
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.facts.settings import RedisSettings
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.examining.glance import glance
from kiqdoctor.examining.parts import every_check
from kiqdoctor.text import clean

WIDTH: Final = 100
QUARTER: Final = timedelta(days=90)  # how long the example suppresses
SHOWN: Final = 20  # of what was found
LIBRARIES: Final = (("ruby", "sidekiq"), ("ruby", "redis-namespace"), ("python", "redis"), ("python", "kiqdoctor"))
EXAMPLES: Final = {
    "path": ".",
    "redis": "redis://localhost:6379/0",
    "namespace": "shop",
    "redis-limit": 40,
    "db-limit": 40,
    "python": ".venv",
    "select": ["RED", "PRO001", "packages"],
    "ignore": ["OBS002"],
    "require": ["RED001"],
    "format": "text",
    "output": "kiqdoctor.txt",
    "report": ["json=kiqdoctor.json", "html=kiqdoctor.html"],
    "baseline": "kiqdoctor-baseline.json",
}
"""Values for keys without a default."""
ONCE: Final = frozenset({"checks", "plan", "baseline-run", "record", "replay", "write-baseline", "allow-grow"})
"""Keys that may stand in the file too, and that hardly anybody wants there."""


@click.command("init")
@click.argument("path", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite a configuration that exists.")
@click.option("--schema", "as_schema", is_flag=True, help="Print the JSON Schema of the configuration, and stop.")
def command(*, path: Path | None, force: bool, as_schema: bool) -> int:
    """Write a commented kiqdoctor.toml for what is found at PATH, or here."""
    checks = every_check()
    if as_schema:
        click.echo(schema.text([one for one in checks if not one.origin]), nl=False)
        return 0
    root = path or Path()
    file = root / configuration_file.NAME
    if not force:
        _refuse(root, file)
    write(text(root, checks, SYSTEM), file)
    click.echo(f"kiqdoctor init: wrote {clean(str(file))}; nothing has changed yet: take the # off what you want")
    return 0


def _refuse(root: Path, file: Path) -> None:
    if file.exists() or file.is_symlink():
        raise click.UsageError(f"{clean(str(file))} exists; --force overwrites it")
    existing = configuration_file.find(root)
    if existing is not None and existing.parent == root:
        raise click.UsageError(
            f"{clean(str(existing))} has [tool.kiqdoctor], which {file.name} would hide; see --force"
        )


def text(root: Path, checks: Sequence[Check], clock: Clock) -> str:
    """The file. Lines that begin with `#` and no space are settings: without it they are what they say."""
    here = glance(root, (Packages, Deployment, RedisSettings), clock)
    lines = [
        "# kiqdoctor's configuration. Take the # off a line to change what it says; docs/configuration.md tells more.",
        "# The command line wins over KIQDOCTOR_* variables, those over this file, this file over the defaults.",
        "",
        *(f"# {one}" for one in found(here)),
        "",
    ]
    for key, parameter in settings().items():
        if key not in ONCE:
            lines += _option(key, parameter, here)
    lines += ["# What does not count for a while. A suppression says why, who and how long, and OBS003 watches it.", ""]
    lines += _example(datetime.fromtimestamp(clock.now(), UTC))
    lines += ["# The numbers that checks judge by, at their defaults.", ""]
    for check in checks:
        lines += _numbers(f"checks.{check.id}", check, check.thresholds)
    lines += _by_queue(checks, here)
    return "\n".join(lines).rstrip() + "\n"


def found(here: Snapshot) -> Iterator[str]:
    """What the application's files say, a line each."""
    yield "Found here:"
    said = [*_packages(here), *_workers(here), *_settings(here)]
    yield from (f"- {clean(one)}" for one in said[:SHOWN])
    if not said:
        yield "- no lock file, worker or Redis setting that kiqdoctor knows; its live checks need no application"


def _packages(snapshot: Snapshot) -> Iterator[str]:
    packages = snapshot.get(Packages)
    if isinstance(packages, Packages):
        for ecosystem, name in LIBRARIES:
            for one in packages.find(ecosystem, name)[:1]:
                yield f"{name} {one.version or '(no version)'} in {one.source}"


def _workers(snapshot: Snapshot) -> Iterator[str]:
    deployment = snapshot.get(Deployment)
    if isinstance(deployment, Deployment):
        for one in deployment.workers:
            parts = [f"concurrency {one.concurrency}"] if one.concurrency else []
            parts += [f"{one.processes} processes"] if one.processes else []
            parts += [f"queues {', '.join(one.queues)}"] if one.queues else []
            yield f"a {one.language} worker in {one.path}:{one.line}" + (f": {'; '.join(parts)}" if parts else "")
        for web in deployment.webs:
            yield f"a web server in {web.path}:{web.line}"


def _settings(snapshot: Snapshot) -> Iterator[str]:
    found = snapshot.get(RedisSettings)
    if isinstance(found, RedisSettings):
        for one in found.all:
            yield f"the {one.role}'s Redis in {one.path}:{one.line}: {one.url or 'no URL'}"


def _option(key: str, parameter: click.Parameter, here: Snapshot) -> Iterator[str]:
    said = getattr(parameter, "help", None) or "The application's root; relative to this file, as all paths are."
    yield from _prose(said)
    if isinstance(parameter.type, click.Choice):
        yield from _prose(f"One of {', '.join(map(str, parameter.type.choices))}.")
    if by_hand(parameter):
        yield "# Counts where this file is named: --config, or KIQDOCTOR_CONFIG."
    value = (_namespace(here) if key == "namespace" else "") or _default(key, parameter)
    yield f"#{key} = {_toml(value)}"
    yield ""


def _namespace(here: Snapshot) -> str:
    """The one that the application's files spell out."""
    settings = here.get(RedisSettings)
    names = [one.namespace or "" for one in settings.all] if isinstance(settings, RedisSettings) else []
    return next((clean(name) for name in names if re.fullmatch(r"[\w:-]+", name)), "")


def _default(key: str, parameter: click.Parameter) -> Any:
    if key in EXAMPLES:
        return EXAMPLES[key]
    if getattr(parameter, "is_flag", False):
        return False
    default = parameter.default
    return default if isinstance(default, str | int | float) else ["a value"] if parameter.multiple else "a value"


def _example(now: datetime) -> Iterator[str]:
    entry = {
        "check": "RED003",
        "subject": "redis",
        "reason": "the larger plan is ordered",
        "owner": "the team that decided it",
        "expires": (now + QUARTER).date().isoformat(),
        "while": "fleet.members < 8",
    }
    yield "#[[suppress]]"
    for key, value in entry.items():
        yield f"#{key} = {_toml(value)}"
    yield ""


def _numbers(table: str, check: Check, thresholds: Sequence[Threshold]) -> Iterator[str]:
    if not thresholds:
        return
    yield f"# {check.id} {check.name}: {check.title}"
    yield f"#[{table}]"
    for one in thresholds:
        differs = f" May differ by {' and '.join(one.per)}." if one.per else ""
        yield from _prose(f"{one.meaning} Default: {one.source}.{differs}")
        yield f"#{one.name} = {_toml(one.default)}  # {one.unit}"
    yield ""


def _by_queue(checks: Sequence[Check], here: Snapshot) -> Iterator[str]:
    """For one queue that was found, the numbers that may be its own."""
    deployment = here.get(Deployment)
    workers = deployment.workers if isinstance(deployment, Deployment) else ()
    queue = next((name for one in workers for name in one.queues), "")
    for check in checks if queue else ():
        own = [one for one in check.thresholds if "queue" in one.per]
        yield from _numbers(f"queues.{_toml(clean(queue))}.{check.id}", check, own)


def _prose(text: str) -> Iterator[str]:
    return (f"# {line}" for line in textwrap.wrap(text, WIDTH - 2))


def _toml(value: Any) -> str:
    """JSON's spelling of texts, numbers, truths and lists is TOML's too."""
    return f"{value:g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
