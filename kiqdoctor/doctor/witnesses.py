"""What each word of a condition sees in the facts of the source: the sites that show it, and whether all was seen."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Final, TypeVar

from kiqdoctor.doctor.facts.code import (
    AtBoot,
    BuiltAtLoad,
    Call,
    Calls,
    Code,
    Execution,
    Forks,
    Imports,
    Job,
    Model,
    Place,
    SharedUses,
    Site,
    Writes,
)
from kiqdoctor.doctor.facts.deployment import Starts
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.facts.settings import RedisSettings
from kiqdoctor.records import dataclass

PATCHED: Final = frozenset({"ssl", "socket", "select", "threading", "http", "urllib", "urllib3", "requests", "redis"})
"""What gevent and eventlet replace, and packages that keep what they once imported of it."""
PREFORK: Final = "celery prefork"
"""A command of Celery's that names no other pool."""
NAMESPACE: Final = "sidekiq:namespace"

One = TypeVar("One", bound=Site)


@dataclass(frozen=True, slots=True)
class Witness:
    """A site that shows it; ``chain``: the names from a job to it, empty where none leads there.

    ``library``: that job's; ``shares``: whether it shares its process with others, by the ``proof`` that stands at
    ``source``. ``load``: it runs when a file is loaded.
    """

    word: str
    name: str
    place: Place
    chain: tuple[str, ...] = ()
    library: str = ""
    shares: bool | None = None
    proof: str = ""
    source: str = ""
    load: bool = False


@dataclass(frozen=True, slots=True)
class Sight:
    """What a word sees; ``whole``: there is no more of it."""

    witnesses: tuple[Witness, ...] = ()
    whole: bool = False


@dataclass(frozen=True)
class Seen:
    """What conditions are judged on; None: it was not read."""

    packages: Packages
    code: Code | None = None
    imports: Imports | None = None
    calls: Calls | None = None
    shared: SharedUses | None = None
    writes: Writes | None = None
    built: BuiltAtLoad | None = None
    forks: Forks | None = None
    starts: Starts | None = None
    redis: RedisSettings | None = None
    execution: Execution | None = None
    boot: AtBoot | None = None
    language: str = ""  # what the row speaks of: files of others that were not parsed hide nothing of it

    def speaking(self, language: str) -> "Seen":
        """The same for rows about one language; the sites are grouped once for all."""
        other = replace(self, language=language)
        other.__dict__.update(by_name=self.by_name, spoken=self.spoken)
        return other

    @property
    def threads(self) -> bool | None:
        """Whether jobs run that share their process; None where that cannot be told."""
        if self.code is None or self.execution is None:
            return None
        found = {self.execution.sharing(job).truth for job in self.jobs}
        return True if True in found else None if None in found else False

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        """The jobs in the row's language."""
        if self.code is None:
            return ()
        functions = self.code.functions
        spoken = (one for one in self.code.jobs if self.language in {"", functions[one.function].language})
        return tuple(spoken)

    @cached_property
    def roots(self) -> dict[int, Job]:
        """A job by the function that runs."""
        return {one.function: one for one in reversed(self.code.jobs)} if self.code is not None else {}

    @cached_property
    def by_name(self) -> dict[str, dict[str, list[Site]]]:
        """Sites by word and name: there are far fewer names."""
        return {
            "import": _grouped(self.imports.sites if self.imports else (), lambda one: one.name),
            "call": _grouped(self.calls.sites if self.calls else (), lambda one: one.name),
            "shared": _grouped(self.shared.sites if self.shared else (), lambda one: one.name),
            "mutated": _grouped(self.writes.sites if self.writes else (), lambda one: one.made_by or one.name),
            "before_fork": _grouped(self.built.sites if self.built else (), lambda one: one.name),
        }

    @cached_property
    def spoken(self) -> dict[str, str]:
        """All names of a word as one text: what is not in it is in none of them."""
        return {word: "\n".join(names) for word, names in self.by_name.items()}


def _grouped(sites: Iterable[One], name: Callable[[One], str]) -> dict[str, list[Site]]:
    found: dict[str, list[Site]] = {}
    for site in sites:
        found.setdefault(name(site), []).append(site)
    return found


def _named(seen: Seen, names: Sequence[str], *, word: str, fact: str) -> Sight:
    made = word in {"shared", "before_fork", "mutated"}
    every = seen.spoken[word]
    parts = [(wanted, part) for wanted in names if (part := wanted.removeprefix("~")) in every]
    found = [
        _witness(seen, word, name, site)
        for name, sites in (seen.by_name[word].items() if parts or not names else ())
        if not names or any(part in name and fits(name, wanted, made=made) for wanted, part in parts)
        for site in sites
    ]
    return Sight(tuple(found), _whole(seen, getattr(seen, fact)))


def _imported(seen: Seen, names: Sequence[str]) -> Sight:
    """Where it is imported, called, and where what was made of it is used: a job need not import what its file has."""
    imports = _named(seen, names, word="import", fact="imports")
    used = [
        _witness(seen, "import", name, site)
        for word in ("call", "shared")
        if any(wanted in seen.spoken[word] for wanted in names)
        for name, sites in seen.by_name[word].items()
        if any(name.startswith((f"{wanted}.", f"{wanted}(", f"{wanted}::")) for wanted in names)
        for site in sites
    ]
    whole = imports.whole and _whole(seen, seen.calls) and _whole(seen, seen.shared)
    return Sight((*imports.witnesses, *used), whole)


def fits(name: str, wanted: str, *, made: bool = False) -> bool:
    """Whether a name is the wanted one, lies within it or ends in it; ``made``: or is what that made."""
    if wanted.startswith("~"):
        return wanted[1:] in name
    return (
        name == wanted
        or name.startswith((f"{wanted}.", f"{wanted}::"))
        or name.endswith(f".{wanted}")
        or (made and name.startswith(f"{wanted}("))
    )


def _keyword(seen: Seen, names: Sequence[str]) -> Sight:
    found = []
    for wanted in names:
        call, _, argument = wanted.partition(":")
        keyword, _, text = argument.partition("=")
        for name, sites in seen.by_name["call"].items() if call in seen.spoken["call"] else ():
            if name == call or name.endswith(f".{call}"):
                given = (site for site in sites if isinstance(site, Call) and _has(site, keyword, text))
                found += [_witness(seen, "keyword", f"{name}({argument})", site) for site in given]
    return Sight(tuple(found), _whole(seen, seen.calls))


def _has(call: Call, keyword: str, text: str) -> bool:
    return any(one.name == keyword and text in {"", one.text} for one in call.arguments)


def _late(seen: Seen, names: Sequence[str]) -> Sight:
    first: dict[int, int] = {}  # function -> line of the first import that came too early
    for site in seen.imports.sites if seen.imports else ():
        if site.statement and site.name.partition(".")[0] in PATCHED:
            first[site.function] = min(site.line, first.get(site.function, site.line))
    calls = [(name, site) for name, sites in seen.by_name["call"].items() for site in sites if name in names]
    late = [
        _witness(seen, "late", name, site) for name, site in calls if first.get(site.function, site.line) < site.line
    ]
    return Sight(tuple(late), _whole(seen, seen.calls) and _whole(seen, seen.imports))


def _before_fork(seen: Seen, names: Sequence[str]) -> Sight:
    """What a fork inherits, where there is one."""
    forks = _forks(seen, ())
    built = _named(seen, names, word="before_fork", fact="built")
    return Sight(built.witnesses if forks.witnesses else (), forks.whole and (built.whole or not forks.witnesses))


def _after_fork(seen: Seen, names: Sequence[str]) -> Sight:
    """What a child calls once it is forked, as its server's hooks tell."""
    hooks = frozenset(seen.boot.hooks if seen.boot else ())
    found = [
        _witness(seen, "after_fork", name, site)
        for name, sites in (seen.by_name["call"].items() if hooks else ())
        if any(fits(name, wanted) for wanted in names)
        for site in sites
        if site.function in hooks
    ]
    return Sight(tuple(found), _whole(seen, seen.calls) and _whole(seen, seen.boot))


def _forks(seen: Seen, _: Sequence[str]) -> Sight:
    code = seen.forks.sites if seen.forks else ()
    starts = seen.starts.all if seen.starts else ()
    ways = seen.execution.ways if seen.execution and seen.jobs else ()
    pools = [one for one in ways if one.library == "celery"]
    unsaid = PREFORK if pools else ""  # a setting may choose another pool than the command does
    found = (
        *(_witness(seen, "forks", site.name, site) for site in code),
        *(Witness("forks", one.name, Place(one.path, one.line)) for one in starts if one.forks and one.name != unsaid),
        *(Witness("forks", one.proof, one.place or _anywhere(seen)) for one in ways if one.inherits),
    )
    told = all(one.model is not Model.UNKNOWN for one in pools)
    return Sight(found, _whole(seen, seen.forks) and seen.starts is not None and told)


def _anywhere(seen: Seen) -> Place:
    """Where a job is, for what stands in no file."""
    assert seen.code is not None  # noqa: S101 - who has jobs has their functions
    return seen.code.functions[seen.jobs[0].function].place


def _setting(seen: Seen, names: Sequence[str]) -> Sight:
    starts = seen.starts.all if seen.starts else ()
    found = [Witness("setting", one.name, Place(one.path, one.line)) for one in starts if one.name in names]
    if NAMESPACE not in names:
        return Sight(tuple(found), seen.starts is not None)
    named = (one for one in (seen.redis.all if seen.redis else ()) if one.language == "ruby" and one.namespace)
    found += [Witness("setting", NAMESPACE, Place(one.path, one.line, one.column)) for one in named]
    return Sight(tuple(found), seen.starts is not None and seen.redis is not None and not seen.redis.unreadable)


def _witness(seen: Seen, word: str, name: str, site: Site) -> Witness:
    assert seen.code is not None  # noqa: S101 - who has sites has their functions
    function = seen.code.functions[site.function]
    if not seen.code.leads_to(site):
        return Witness(word, name, seen.code.place(site), load=function.body)
    index = site.function
    while (caller := seen.code.functions[index].caller) is not None:
        index = caller
    job = seen.roots.get(index)
    sharing = seen.execution.sharing(job) if seen.execution is not None and job is not None else None
    return Witness(
        word,
        name,
        seen.code.place(site),
        seen.code.chain(site),
        job.library if job is not None else "",
        sharing.truth if sharing is not None else None,
        sharing.proof if sharing is not None else "",
        sharing.source if sharing is not None else "",
        function.body,
    )


def _whole(seen: Seen, fact: AtBoot | Calls | Forks | BuiltAtLoad | Imports | SharedUses | Writes | None) -> bool:
    """Whether the fact holds all that there is; a file that was not parsed may hold more."""
    if seen.code is None or not seen.code.files:
        return False
    unparsed = [path for path, _ in seen.code.unparsed if seen.language in {"", _language(path)}]
    return not unparsed and fact is not None and not fact.partial


def _language(path: str) -> str:
    return "python" if path.endswith(".py") else "ruby"


WORDS: Final[dict[str, Callable[[Seen, Sequence[str]], Sight]]] = {
    "import": _imported,
    "call": partial(_named, word="call", fact="calls"),
    "shared": partial(_named, word="shared", fact="shared"),
    "mutated": partial(_named, word="mutated", fact="writes"),
    "before_fork": _before_fork,
    "after_fork": _after_fork,
    "keyword": _keyword,
    "late": _late,
    "forks": _forks,
    "setting": _setting,
}
