"""What could be mended in an application's source, as one patch; nothing is written."""

import sys
from collections.abc import Iterator
from difflib import unified_diff
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kiqdoctor.clock import Clock
from kiqdoctor.examining.codemods import Edit, Source, applied, committed, hoisted, timed
from kiqdoctor.examining.glance import glance
from kiqdoctor.examining.showable import hidden
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.records import dataclass

if TYPE_CHECKING:
    from kiqdoctor.doctor.facts.code import Code, Enqueues, Imports, NetworkCalls, Transactions

CHECKS: Final = ("COD001", "COD003", "COD010")
MOST_AROUND: Final = 3  # lines around a change; git wants one at least
TIMED: Final = (
    *(f"requests.{verb}" for verb in ("get", "post", "put", "patch", "delete", "head", "options", "request")),
    "urllib.request.urlopen",
)


@dataclass(frozen=True, slots=True)
class Place:
    """One place that is mended, by which change."""

    check: str
    path: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch as `git apply` takes it, and the places that it mends; ``unshown``: beside what is never shown."""

    text: str
    places: tuple[Place, ...]
    unshown: tuple[Place, ...] = ()


def patch(root: Path, checks: tuple[str, ...], clock: Clock) -> Patch:
    """The changes that are safe, of these checks."""
    tree = Tree(root)
    wanted = [one for one in _places(root, clock) if one.check in checks]
    texts: list[str] = []
    mended: list[Place] = []
    unshown: list[Place] = []
    for path in sorted({one.path for one in wanted}):
        found = _changed(tree, path, [one for one in wanted if one.path == path])
        texts.append(found.text)
        mended += found.places
        unshown += found.unshown
    return Patch("".join(texts), tuple(mended), tuple(unshown))


def _changed(tree: Tree, path: str, places: list[Place]) -> Patch:
    """One file's part of it."""
    file = tree.file(path)
    try:
        before = file.content().decode("utf-8") if file is not None else ""
        source, never = Source(before), hidden(before)
    except (UnreadableError, UnicodeDecodeError, SyntaxError, ValueError, RecursionError):
        return Patch("", ())
    made = [(one, edits) for one in places if (edits := _edits(source, one))]
    shown = [(one, edits) for one, edits in made if _diff(path, before, applied(before, edits), never)]
    text = _diff(path, before, applied(before, [edit for _, edits in shown for edit in edits]), never)
    mended = tuple(one for one, _ in shown) if text else ()
    return Patch(text, mended, tuple(one for one, _ in made if one not in mended))


def _edits(source: Source, one: Place) -> list[Edit]:
    if one.check == "COD001":
        return committed(source, one.line, one.column)
    if one.check == "COD003":
        return hoisted(source, one.line)
    return timed(source, one.line, one.column)


def _diff(path: str, before: str, after: str, never: frozenset[str]) -> str:
    """With as many lines around as may be shown; "" where nothing is changed, or not even one line may."""
    old, new = (list(StringIO(text, newline="\n")) for text in (before, after))  # as git counts them
    for around in range(MOST_AROUND, 0, -1):
        every = list(unified_diff(old, new, f"a/{path}", f"b/{path}", n=around))
        if path.isprintable() and not {line[1:].rstrip("\r\n") for line in every[2:]} & never:
            text = "".join(one if one.endswith("\n") else f"{one}\n\\ No newline at end of file\n" for one in every)
            return f"diff --git a/{path} b/{path}\n{text}" if text else ""
    return ""


def _places(root: Path, clock: Clock) -> Iterator[Place]:
    from kiqdoctor.doctor.facts.code import Code, Enqueues, Imports, NetworkCalls, Transactions

    facts = glance(root, (Code, Enqueues, Transactions, Imports, NetworkCalls), clock)
    code = facts.get(Code)
    if not isinstance(code, Code):
        return
    enqueues, transactions = facts.get(Enqueues), facts.get(Transactions)
    if isinstance(enqueues, Enqueues) and isinstance(transactions, Transactions):
        yield from _enqueued(code, enqueues, transactions)
    imports, network = facts.get(Imports), facts.get(NetworkCalls)
    if isinstance(imports, Imports):
        yield from _loaded(code, imports)
    if isinstance(network, NetworkCalls):
        yield from _untimed(code, network)


def _enqueued(code: "Code", enqueues: "Enqueues", transactions: "Transactions") -> Iterator[Place]:
    """Enqueues inside a transaction of Django's, whose connection knows a commit hook."""
    for inside in transactions.inside:
        enqueue, transaction = enqueues.sites[inside.enqueue], transactions.sites[inside.transaction]
        place = code.place(enqueue)
        if code.language(enqueue) == "python" and transaction.opens.startswith("django"):
            yield Place("COD001", place.path, place.line, place.column)


def _loaded(code: "Code", imports: "Imports") -> Iterator[Place]:
    """Imports in jobs, of the standard library: nothing of the application is in a circle with that."""
    for one in imports.sites:
        place, function = code.place(one), code.functions[one.function]
        first = one.name.partition(".")[0]
        if one.statement and code.leads_to(one) and not function.body and first in sys.stdlib_module_names:
            yield Place("COD003", place.path, place.line, place.column)


def _untimed(code: "Code", network: "NetworkCalls") -> Iterator[Place]:
    from kiqdoctor.doctor.facts.code import Timeout

    for one in network.sites:
        place = code.place(one)
        if code.leads_to(one) and one.timeout is Timeout.NONE and one.name in TIMED:
            yield Place("COD010", place.path, place.line, place.column)
