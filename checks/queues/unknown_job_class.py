"""Payloads name a job class that the application's source does not have.

## Why it hurts
No worker can run them: they fail at once, are tried for three weeks and die. It is what a deploy leaves that starts
producers before consumers, or that renames a class whose jobs still wait.

In the log: `uninitialized constant NAME`, `NameError`; of kiqdoctor's runtime, `no job is called NAME`.

## How it is found
Formula: high if a sampled payload's class is not in the source, and payloads of it failed with an error that names the
class; medium if it only is not in the source

The class is the one that Active Job's wrapper wraps. Names are compared with all jobs and classes of the source; one
that only has more, or fewer, modules before it is the same. A class in a module that bears the name of a locked package
is that package's. `kiqdoctor check --replay RECORDING PATH` tells of a production's recording and a pull request's tree
which waiting jobs the change would leave without a class.

## When it is wrong
The class comes from a gem or a package; another application shares this Redis (PRO004), and it is that one's. Both are
medium at most, for no error says otherwise.

## Confirm by hand
`redis-cli lindex queue:NAME -1` for the class, then a search for it in the source.

## How to fix
Deploy consumers before producers; keep a class of the old name, which hands its jobs on, until the last one is gone
(retries live for three weeks).

Risk: a class of the old name must take the old arguments.

Undo: remove it when no payload names it any more.

## Unknown when
No source tree was given; no job was recognised in it, or files of it could not be parsed; the class lies in a module
that is not the application's own; jobs may be named otherwise on the wire (`@job(name=...)`); payloads were not read.

## Source
Sidekiq issues 3352, 2976 and 4556.

- LEAST: letters of a module's name that tell a package; a choice.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.code import Code
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.facts.queues import Sample, Samples

NO_SUCH = frozenset({"NameError", "ModuleNotFoundError", "ImportError", "AttributeError", "UnknownJobError"})
SHOWN = 10
LEAST = 4  # letters of a module's name that tell a package
GIVE_TREE = "kiqdoctor check PATH, with the application's root"


@check("QUE006", severity=Severity.HIGH, caused_by=("PRO003", "PRO004", "NSP004"))
def unknown_job_class(samples: Samples, code: Code | Missing, packages: Packages | Missing) -> Iterator[Verdict]:
    seen: dict[str, list[Sample]] = {}
    for _, one in samples.all:
        if one.job_class:
            seen.setdefault(one.job_class, []).append(one)
    failing = {name: _missed(found) for name, found in seen.items()}
    if not isinstance(code, Code):
        if seen:
            said = [name for name, count in failing.items() if count]
            tail = f"; workers said of {', '.join(said[:SHOWN])} that there is no such class" if said else ""
            yield Unknown(f"no source tree was given: {code.reason}{tail}", GIVE_TREE)
        return
    if samples.unread:
        yield Unknown(f"not every payload's class was looked at: {samples.unread}", "a budget that reaches all queues")
    known = _known(code)
    locked = [_plain(one.name) for one in packages.all] if isinstance(packages, Packages) else []
    absent = [name for name in sorted(seen) if not _has(known, name) and not _packaged(name, locked)]
    for name in absent:
        yield from _judged(name, seen[name], failing[name], code)
    counts = Counter({name: len(found) for name, found in seen.items() if name not in absent})
    shown = ", ".join(f"{name} ({count})" for name, count in counts.most_common(SHOWN))
    yield Evidence("classes that the source or its packages have", shown or "none", samples.text)


def _missed(found: list[Sample]) -> int:
    """How many failed because their class is not there, by their error's own words."""
    return sum(one.blames_class and one.error_class.rpartition(".")[2] in NO_SUCH for one in found)


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part for part in re.split(r"::|[.#]", name) if part)


def _has(known: dict[str, frozenset[tuple[str, ...]]], name: str) -> bool:
    """Whether the source has it, as it is called or with more or fewer modules before it."""
    parts = _parts(name)
    return not parts or any(_same(parts, one) for one in known.get(parts[-1], ()))


def _same(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shorter = min(len(one), len(other))
    return one[-shorter:] == other[-shorter:]


def _known(code: Code) -> dict[str, frozenset[tuple[str, ...]]]:
    """Whatever the source has of that kind, by its last word: jobs, functions, the classes that methods lie in."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for name in chain((job.name for job in code.jobs), (function.name for function in code.functions)):
        owner, mark, _ = name.rpartition("#" if "#" in name else ".")
        for parts in (_parts(name), _parts(owner) if mark else ()):
            if parts:
                found.setdefault(parts[-1], set()).add(parts)
    return {last: frozenset(names) for last, names in found.items()}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]", "", name).lower()


def _packaged(name: str, locked: list[str]) -> bool:
    """Whether it lies in a module that bears a locked package's name: ActionMailer::MailDeliveryJob, actionmailer."""
    first, *rest = re.split(r"::|\.", name)
    return bool(rest) and len(first) >= LEAST and any(one.startswith(_plain(first)) for one in locked)


def _judged(name: str, found: list[Sample], failed: int, code: Code) -> Iterator[Verdict]:
    if why := _incomplete(name, code):
        tail = f", and {failed} of its jobs failed for want of it" if failed else ""
        yield Unknown(
            f"{name} is not in the source that was read{tail}; {why}", "a source tree that is read as a whole"
        )
        return
    times = sorted(at for one in found if (at := one.created_at or one.enqueued_at) is not None)
    since = f", created within {times[-1] - times[0]:.0f} s" if len(times) > 1 else ""
    evidence = (
        Evidence("payloads", f"{len(found)} sampled{since}", ", ".join(one.jid for one in found[:3])),
        Evidence("failed for want of it", str(failed), "error_class, error_message"),
        Evidence("jobs in the source", str(len(code.jobs)), counted(code.files, "file")),
    )
    title = f"{counted(len(found), 'sampled job names', 'sampled jobs name')} {name}, which the source does not have"
    remedy = f"Deploy what defines {name} to the workers, or keep a class of that name until its jobs are gone."
    yield Finding(f"job:{name}", title, remedy, evidence, Severity.HIGH if failed else Severity.HIGH.milder)


def _incomplete(name: str, code: Code) -> str:
    """Why a class that was not found may be there all the same; "" where it may not."""
    if not code.jobs:
        return "no job was recognised in it"
    ruby = "::" in name or ("." not in name and name[:1].isupper())
    language = "ruby" if ruby else "python"
    suffix = ".rb" if ruby else ".py"
    if broken := [path for path, _ in code.unparsed if path.endswith(suffix)]:
        return f"{counted(len(broken), 'file could', 'files could')} not be parsed, the first {broken[0]}"
    spoken = {code.functions[job.function].language for job in code.jobs}
    if "python" in spoken and ruby:
        return "jobs of Python may bear any name on the wire"
    if language not in spoken:
        return f"no job of it is written in {language.capitalize()}"
    first = re.split(r"::|\.", name)[0]
    owners = {re.split(r"::|[.#]", function.name)[0] for function in code.functions}
    if first != name and first not in owners:
        return f"{first} is not the application's own, and may come from a package"
    return ""
