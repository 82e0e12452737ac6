"""``kiqdoctor gate``: the same engine as a CI health gate; one summary line last."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from kiqdoctor.cli.words import options as words
from kiqdoctor.cli.words.configured import Configured
from kiqdoctor.cli.words.formats import COMMANDING
from kiqdoctor.cli.words.output import further, rendered, write
from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.doctor.report import Outcome, Report, Severity
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.reporting import examination
from kiqdoctor.render.words import counted, message, summary, verdict

BETWEEN: Final = 2.0  # seconds between examinations under --wait


@dataclass(frozen=True, slots=True)
class System:
    """A CI system: the variable that tells it, the format of its log, the report files that it picks up by itself."""

    name: str
    variable: str
    form: str = "text"
    files: tuple[tuple[str, str], ...] = ()


SYSTEMS: Final = (
    System("GitHub Actions", "GITHUB_ACTIONS", "github"),
    System(
        "GitLab CI", "GITLAB_CI", files=(("gitlab", "gl-code-quality-report.json"), ("junit", "kiqdoctor-junit.xml"))
    ),
    System("CircleCI", "CIRCLECI", files=(("junit", "test-results/kiqdoctor/junit.xml"),)),
    System("Jenkins", "JENKINS_URL", files=(("junit", "kiqdoctor-junit.xml"),)),
    System("Azure Pipelines", "TF_BUILD", "azure", files=(("junit", "TEST-kiqdoctor.xml"),)),
)


@click.command("gate", cls=Configured)
@words.examinations
@words.judgement
@words.rendering
@words.of_gate
def command(
    *,
    form: str | None,
    output: Path | None,
    reports: tuple[str, ...],
    verbose: bool,
    wait: float,
    nagios: bool,
    **rest: Any,
) -> int:
    """Examine, and fail the pipeline where something counts."""
    asked = words.read(rest)
    others = [further(text) for text in reports]
    report = awaited(asked, wait, SYSTEM)
    system = recognised(os.environ)
    for other, file in others:
        write(rendered(report, other, verbose=verbose), file)
    if nagios:
        click.echo(plugin(report))
        return plugin_status(report)
    chosen = form or (system.form if system else "text")
    write(rendered(report, chosen, verbose=verbose), output, armed=chosen in COMMANDING)
    if system is not None:
        if not form and not others:
            left_behind(report, system)
        summarise(report, system)
    click.echo(f"kiqdoctor gate: {verdict(report)}: {summary(report)}", err=output is None and chosen != "text")
    return report.exit_status


def awaited(asked: Asked, seconds: float, clock: Clock) -> Report:
    """The first green report, or the last one when the time is up."""
    deadline = clock.monotonic() + seconds
    while True:
        report = examination(asked, clock)
        left = deadline - clock.monotonic()
        if report.exit_status == 0 or left <= 0:
            return report
        clock.sleep(min(BETWEEN, left))


def recognised(environ: Mapping[str, str]) -> System | None:
    """The CI system that we run in."""
    return next((one for one in SYSTEMS if environ.get(one.variable)), None)


def left_behind(report: Report, system: System) -> None:
    """The files that the system shows by itself, where nobody asked for others."""
    for form, name in system.files:
        file = Path(name)
        with _unasked(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            write(rendered(report, form), file)


def summarise(report: Report, system: System) -> None:
    """GitHub's step summary, whatever else was asked for."""
    step = os.environ.get("GITHUB_STEP_SUMMARY")
    if system.variable == "GITHUB_ACTIONS" and step:
        with _unasked(Path(step)), Path(step).open("a", encoding="utf-8") as out:
            out.write(rendered(report, "markdown"))


@contextmanager
def _unasked(file: Path) -> Iterator[None]:
    """What nobody asked for by name may fail, as where the checkout is read-only: it is told, and the status stands."""
    try:
        yield
    except OSError as error:
        click.echo(f"kiqdoctor: cannot write {file}: {error.strerror}", err=True)
    except click.UsageError as error:
        click.echo(f"kiqdoctor: {error.format_message()}", err=True)


def plugin(report: Report) -> str:
    """One line with performance data, as monitoring plug-ins print it."""
    word = ("OK", "WARNING", "CRITICAL", "UNKNOWN")[plugin_status(report)]
    worst = min(counted(report), key=lambda one: one.severity.rank, default=None)
    said = message(worst) if worst is not None else summary(report)
    data = " ".join(f"{severity.value}={report.findings(severity)};;;0" for severity in Severity)
    return f"KIQDOCTOR {word} - {said.replace('|', '/')} | {data}"


def plugin_status(report: Report) -> int:
    """0 nothing counts, 1 findings below critical, 2 critical ones, 3 the examination is not complete."""
    if report.exit_status == 1:
        return 2 if report.findings(Severity.CRITICAL) else 1
    if report.exit_status == 0:
        return 0 if report.count(Outcome.PASS) + report.count(Outcome.FAIL) else 3
    return 3
