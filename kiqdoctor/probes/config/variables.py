"""Variables of env files and of what is started, by the scopes in which processes see them; no value leaves here."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.config import Scope, Variables
from kiqdoctor.doctor.probe import AbsenceError, Lane, Read, probe
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex
from kiqdoctor.text import clean

if TYPE_CHECKING:
    from kiqdoctor.probes.deployment.derived import Derived

PROVIDER: Final = "REDIS_PROVIDER"
ENV_FILES: Final = (".env", ".env.*", "config/*.env", "*.env", ".envrc", "deploy/*.env", "env/*.env")
_NAME: Final = regex(r"[A-Za-z_]\w*")

Pairs = list[tuple[str, str]]


@probe(
    Read(".env files", "", "up to 1 MB each"),
    Read("the files that tell how it is deployed", "", "read once with them"),
    lane=Lane.FILES,
    deadline_s=30.0,
)
def variables(tree: Tree) -> Variables:
    """Scopes that say REDIS_PROVIDER."""
    from kiqdoctor.probes.deployment.derived import derived
    from kiqdoctor.probes.deployment.every import of_workers

    found = tree.once(derived)
    scopes = [*_files(tree), *_units(found), *_maps(tree)]
    unreadable = of_workers(found)
    if not scopes and not unreadable:
        raise AbsenceError("no file of the application sets variables of its processes")
    return Variables(
        tuple(_scope(*one) for one in scopes if any(name == PROVIDER for name, _ in one[3])),
        len(scopes),
        unreadable,
    )


def _files(tree: Tree) -> Iterator[tuple[str, str, int, Pairs, bool]]:
    from kiqdoctor.probes.deployment.paths import stage

    for file in tree.named(*ENV_FILES):
        try:
            lines = file.text().splitlines()
        except UnreadableError:
            continue
        if not stage(file.path):
            continue
        pairs: Pairs = []
        at = 0
        for number, line in enumerate(lines, 1):
            name, separator, value = line.strip().removeprefix("export ").partition("=")
            if separator and _NAME.fullmatch(name.strip()):
                pairs.append((name.strip(), value.strip().strip("'\"")))
                at = number if name.strip() == PROVIDER else at
        template = file.name.endswith((".example", ".sample", ".template", ".dist"))
        if pairs and not template:
            yield file.path, "", at, pairs, True


def _units(found: "Derived") -> Iterator[tuple[str, str, int, Pairs, bool]]:
    from kiqdoctor.probes.deployment.every import every_command, every_started

    for running in every_command(found):
        if any(name == PROVIDER for name, _ in running.command.environment):
            pairs = [*running.started.environment, *running.command.environment]
            yield running.started.path, running.started.unit.strip("/*"), running.started.line, pairs, False
    everywhere: Pairs = []
    for one in every_started(found):
        own = [*one.environment, *((name, "") for name in one.further)]
        if one.unit == "*":
            everywhere += own
        if own:
            yield one.path, one.unit.strip("/*"), one.line, [*everywhere, *own], one.closed


def _maps(tree: Tree) -> Iterator[tuple[str, str, int, Pairs, bool]]:
    """What Kubernetes' ConfigMaps say, which come beside what else a container gets."""
    from kiqdoctor.probes.deployment.paths import stage
    from kiqdoctor.probes.tree.documents import Table

    for file in tree.named("**/*.yml", "**/*.yaml"):
        try:
            if not stage(file.path) or PROVIDER.encode() not in file.content():
                continue
            documents = [one for one in file.yaml() if isinstance(one, Table) and one.text("kind") == "ConfigMap"]
        except (UnreadableError, UnparsedError):
            continue
        for one in documents:
            data = one.table("data")
            pairs = [(name, str(value)) for name, value in data.items() if isinstance(value, str | int)]
            yield file.path, one.table("metadata").text("name"), data.lines.get(PROVIDER, one.line), pairs, False


def _scope(path: str, unit: str, line: int, pairs: Pairs, closed: bool) -> Scope:
    values = dict(pairs)
    said = values[PROVIDER].strip()
    plain = said if _NAME.fullmatch(said) else ""
    named, usual = values.get(plain, ""), values.get("REDIS_URL", "")
    both = "://" in named and "://" in usual
    return Scope(
        clean(path),
        clean(unit),
        tuple(sorted({clean(name) for name in values if name != PROVIDER})),
        line,
        provider=plain,
        is_url=":" in said and not said.startswith("$"),
        differs=both and plain != "REDIS_URL" and named != usual,
        closed=closed,
    )
