"""Compose files: a service each; several files of one folder speak of the same services."""

import re
from collections.abc import Iterator
from itertools import chain, takewhile
from posixpath import dirname, join, normpath

from kiqdoctor.probes.deployment.amounts import cores, of_value, said
from kiqdoctor.probes.deployment.formats import Rank, deploys
from kiqdoctor.probes.deployment.paths import TRIALS, Stage, stage
from kiqdoctor.probes.deployment.records import Ending, Environment, Started
from kiqdoctor.probes.deployment.shell import words
from kiqdoctor.probes.tree.documents import Table, Value
from kiqdoctor.probes.tree.file import File
from kiqdoctor.regex import regex
from kiqdoctor.text import clean

SOURCES = frozenset({".", "./", "..", "../", "$PWD", "${PWD}", "./app", "./lib", "./src"})
RELOADS = frozenset({"--reload", "--autoreload", "watchmedo", "watchfiles", "nodemon"})
FOR_TRIALS = regex(r"(?:dev|develop|development|local|test)(?:[-_]?(?:pass(?:word)?|pw|secret))?")
"""How a password is called that nobody means to keep."""
UNFIT = regex(
    r"\b(?:not|don't|never)\s(?:be\s)?(?:use|used|run|meant|intended|suitable|recommended|safe|ready|for)\b[^.\n]{0,60}"
    r"\bproduction\b",
    re.IGNORECASE,
)
AT_HOME = regex(
    r"\blocal\s(?:development|testing|use|setup|machine)\b|\b(?:develop|developing|run|running|runs|work|test)\b[^.\n]{0,60}"
    r"\blocally\b|\b(?:only|just|used|use|meant|intended)\s(?:\w+\s)?for\s(?:development|developing|testing)\b"
    r"|\bfor\s(?:development|dev|testing|test|demo)\s(?:(?:and|or)\s\w+\s)?(?:only|purposes?)\b",
    re.IGNORECASE,
)
"""What the comment on top of a file says that production does not start from it."""
DEVELOPING = frozenset({"dev", "devel", "development", "devcontainer", "test", "tests", "testing"})
WORDS = regex(r"[a-z]+")
DEFAULT = regex(r"^\$\{\w{1,100}:?-([^{}$]{0,200})\}$")
STAGES = ("RAILS_ENV", "RACK_ENV", "APP_ENV", "NODE_ENV")
NAMES = ("**/docker-compose*.yml", "**/docker-compose*.yaml", "**/compose*.yml", "**/compose*.yaml")


@deploys(*NAMES, rank=Rank.COMPOSED)
def compose(file: File) -> Iterator[Started]:
    folder = file.path.rpartition("/")[0]
    avowal = avowed(file)
    for document in file.yaml():
        services = document.table("services") if isinstance(document, Table) else Table()
        for name in services:
            service = services.table(name)
            deploy = service.table("deploy")
            profiles = [str(one) for one in service.items_of("profiles")]
            if profiles and set(profiles) <= TRIALS:
                continue  # asked for by hand, and for trials
            wanted = of_value(deploy.get("replicas")) or of_value(service.get("scale"))
            yield Started(
                f"{folder}/{name}",
                file.path,
                services.lines.get(name, 1),
                words(service.get("entrypoint")) + words(service.get("command")),
                replicas=wanted.given({}) if wanted is not None else None,
                unsaid=None if deploy.text("mode") == "global" or profiles else 1,
                environment=environment(service.get("environment")),
                ending=_ending(service, file.path, services.lines.get(name, 1)),
                trial=trial(service) or avowal,
                cores=cores(deploy.table("resources", "limits").get("cpus") or service.get("cpus")),
                further=_further(service.get("environment")),
                closed="env_file" not in service,
                resets=frozenset(service.reset | deploy.reset),
                extends=_extends(service, file.path),
            )


def _extends(service: Table, path: str) -> tuple[str, str] | None:
    """The file and the unit that a service begins as."""
    named = service.text("extends") or service.table("extends").text("service")
    beside = service.table("extends").text("file")
    file = normpath(join(dirname(path), beside)) if beside else path
    return (file, f"{dirname(file)}/{named}") if named else None


def _ending(service: Table, path: str, line: int) -> Ending:
    hooks = [words(one.get("command")) for one in service.tables("pre_stop")]
    grace, untold = said(service.get("stop_grace_period"))
    return Ending(
        path,
        service.lines.get("stop_grace_period", line),
        "compose",
        grace,
        signal=service.text("stop_signal").removeprefix("SIG"),
        init=service.get("init") is True or service.get("init") == "true",
        untold=untold,
        hook="; ".join(" ".join(one) for one in hooks),
        hook_path=path if hooks else "",
        hook_line=service.lines.get("pre_stop", line),
    )


def trial(service: Table) -> str:
    """Why a service is how somebody develops, "" where nothing says so: who mounts the source, or reloads it, does."""
    context = service.text("build") or service.table("build").text("context")
    for volume in service.items_of("volumes"):
        source = volume.text("source") if isinstance(volume, Table) else str(volume).partition(":")[0]
        if source in SOURCES or (context and normpath(source) == normpath(context)):
            return f"it mounts its source ({source})"
    reloads = RELOADS.intersection(words(service.get("entrypoint")) + words(service.get("command")))
    if reloads:
        return f"it reloads what is edited ({min(reloads)})"
    named = next(
        (f"{what} is {one}" for what, one in _names(service) if DEVELOPING.intersection(WORDS.findall(one))), ""
    )
    if named:
        return named
    known = dict(environment(service.get("environment")))
    stages = [DEFAULT.sub(r"\1", known.get(name, "")) for name in STAGES]
    secrets = [name for name, value in known.items() if name.endswith("PASSWORD") and FOR_TRIALS.fullmatch(value)]
    said = (f"its environment is {one}" for one in stages if one in TRIALS)
    return next(chain(said, (f"{one} is one for trials" for one in secrets)), "")


def _names(service: Table) -> Iterator[tuple[str, str]]:
    """What a service is made of, by names that may say for whom."""
    build = service.table("build")
    yield "its image's tag", service.text("image").rpartition("/")[2].partition(":")[2]
    yield "its stage", build.text("target")
    yield "its Dockerfile", build.text("dockerfile").rpartition("/")[2]
    yield from ((f"{name} of its build", value) for name, value in environment(build.get("args")) if name in STAGES)
    files = service.get("env_file")
    for one in files if isinstance(files, list) else [files]:
        yield "its env file", one.text("path") if isinstance(one, Table) else one if isinstance(one, str) else ""


def avowed(file: File) -> str:
    """What the comment on top says of how somebody develops; "" where it says nothing, or speaks of production too."""
    if stage(file.path) is Stage.PRODUCTION:
        return ""
    lines = takewhile(lambda line: not line.strip() or line.startswith("#"), file.text().splitlines())
    comment = " ".join(line.strip("# \t") for line in lines)
    found = UNFIT.search(comment) or ("production" not in comment.lower() and AT_HOME.search(comment)) or None
    return f"its first comment says: {clean(found[0])}" if found else ""


def environment(variables: Value) -> Environment:
    """Variables with a value: a mapping, or a list of ``NAME=VALUE``."""
    if isinstance(variables, Table):
        return tuple((name, str(value)) for name, value in variables.items() if isinstance(value, str | int))
    lines = variables if isinstance(variables, list) else []
    pairs = (line.partition("=") for line in lines if isinstance(line, str))
    return tuple((name, value) for name, separator, value in pairs if separator)


def _further(variables: Value) -> tuple[str, ...]:
    """Names that take their value from whoever starts it."""
    if isinstance(variables, Table):
        return tuple(name for name, value in variables.items() if value is None)
    return (
        tuple(one for one in variables if isinstance(one, str) and "=" not in one)
        if isinstance(variables, list)
        else ()
    )
