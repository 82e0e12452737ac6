"""How a rule about source code speaks: of what jobs lead to, where it stands, by which way; when silence is proof."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from kiqdoctor.doctor.facts.code import Code, Execution, Sharing, Site
from kiqdoctor.doctor.facts.deployment import Deployment, Starts
from kiqdoctor.doctor.snapshot import Missing
from kiqdoctor.doctor.verdict import Evidence, Finding, Location, NotApplicable, Severity, Unknown

One = TypeVar("One", bound=Site)


class Read(Protocol):
    """A fact of which a part may be missing."""

    @property
    def partial(self) -> str:
        """What was left out."""


ENDINGS = {"python": (".py",), "ruby": (".rb", ".ru", ".rake")}
SERVERS = {"python": ("gunicorn", "uwsgi"), "ruby": ("puma", "unicorn")}
FORKING = {"python": ("gunicorn", "uwsgi", "celery"), "ruby": ("preload",)}
"""How settings begin by which servers of a language fork what was loaded."""
PREFORKING = {"python": ("celery", "django_q", "huey", "dramatiq"), "ruby": ("sidekiq", "resque")}
"""Libraries whose workers load the application before they fork; RQ's load nothing of it."""


def led_to(code: Code, sites: Iterable[One]) -> Iterator[One]:
    """The sites that a job leads to."""
    reached = code.reached  # of a hundred thousand sites, for each rule
    return (site for site in sites if site.function < reached)


def told(
    code: Code, site: Site, severity: Severity, title: str, remedy: str, *evidence: Evidence, key: str = ""
) -> Finding:
    """A finding at a site, with each step that leads there from a job."""
    place = code.place(site)
    name = code.functions[site.function].name
    return Finding(
        f"code:{name}",
        title,
        remedy,
        (*steps(code, site), Evidence("site", name, f"{place.path}:{place.line}"), *evidence),
        severity,
        location=Location(place.path, place.line, place.column),
        key=key,
    )


def steps(code: Code, site: Site) -> tuple[Evidence, ...]:
    """The functions from a job to the one that holds the site, outermost first; none where no job leads there."""
    if not code.leads_to(site):
        return ()
    way: list[int] = []
    index: int | None = site.function
    while index is not None:
        way.append(index)
        index = code.functions[index].caller
    places = [(code.functions[one].name, code.functions[one].place) for one in reversed(way)]
    return tuple(
        Evidence("leads to" if number else "job", name, f"{place.path}:{place.line}")
        for number, (name, place) in enumerate(places)
    )


def sharing(code: Code, execution: Execution, site: Site) -> Sharing:
    """Whether the job that leads to a site shares its process with others that run meanwhile, with the proof."""
    job = code.job(site)
    return Sharing(None, "no job leads there") if job is None else execution.sharing(job)


def how_it_runs(shared: Sharing) -> Evidence:
    """What says how those jobs run."""
    return Evidence("jobs run", shared.proof, shared.source)


def foreign(code: Code, language: str) -> str:
    """The proof that nothing of the application is written in a language; "" where something is, or may be."""
    spoken = {one.language for one in code.functions}
    unread = any(path.endswith(ENDINGS[language]) for path, _ in code.unparsed)
    if not spoken or language in spoken or unread:
        return ""
    return f"all {code.files} source files are {' and '.join(sorted(spoken)).title()}: none is {language.title()}"


def settled(code: Code, *facts: Read, found: bool) -> Iterator[Evidence | NotApplicable | Unknown]:
    """What is said beside the findings: nothing to judge, what could not be seen where nothing was found, or the proof.

    Findings stand whatever could not be read; silence is a pass only where all of it was.
    """
    if not code.jobs and not found:
        yield NotApplicable("the application has no jobs")
        return
    languages = {code.functions[one.function].language for one in code.jobs}
    endings = tuple(ending for language in languages for ending in ENDINGS[language])
    broken = [(path, reason) for path, reason in code.unparsed if path.endswith(endings)]
    if broken and not found:
        path, reason = broken[0]
        what = f"{len(broken)} files could not be parsed" if len(broken) > 1 else "a file could not be parsed"
        yield Unknown(f"{what}, the first {path}: {reason}")
    for one in facts if not found else ():
        if one.partial:
            yield Unknown(one.partial)
    yield Evidence("looked at", f"{len(code.jobs)} jobs, {code.reached} functions that they lead to", "source code")


def shared_only(
    code: Code, execution: Execution, found: Iterable[Finding | None], *facts: Read
) -> Iterator[Finding | Evidence | NotApplicable | Unknown]:
    """A rule about what jobs share: its findings and what is said beside them, or the proof that they share nothing."""
    if alone := apart(code, execution):
        yield NotApplicable(alone)
        return
    told_of = [one for one in found if one is not None]
    yield from told_of
    yield from settled(code, *facts, found=bool(told_of))


def apart(code: Code, execution: Execution) -> str:
    """The proof that no job shares its process with another that runs meanwhile; "" where one may."""
    shared = [execution.sharing(job) for job in code.jobs]
    if not shared or any(one.truth is not False for one in shared):
        return ""
    return "no two jobs share a process at the same time: " + "; ".join(dict.fromkeys(one.proof for one in shared))


def forked(language: str, execution: Execution, starts: Starts) -> Evidence | None:
    """What proves that processes fork what was loaded before."""
    for start in starts.all:
        if start.forks and start.name.startswith(FORKING[language]):
            return Evidence("forks what was loaded", start.name, f"{start.path}:{start.line}")
    for way in execution.ways:
        if way.inherits and way.library in PREFORKING[language]:
            return Evidence("forks what was loaded", way.proof, way.source)
    return None


def served(language: str, deployment: Deployment | Missing) -> Evidence | None:
    """The web server that loads the application, where the files tell it."""
    webs = deployment.webs if isinstance(deployment, Deployment) else ()
    web = next((one for one in webs if one.server in SERVERS[language]), None)
    return Evidence("web server", web.server, f"{web.path}:{web.line}") if web is not None else None


def through(code: Code, ways: tuple[int, ...]) -> tuple[Evidence, ...]:
    """The functions that lead somewhere, outermost first."""
    places = [(code.functions[one].name, code.functions[one].place) for one in ways]
    return tuple(Evidence("leads to", name, f"{place.path}:{place.line}") for name, place in places)
