"""A job builds whatever objects its data names.

## Why it hurts
Pickle, Marshal and YAML with objects run code while they load. Whoever can push a job, or write into the cache that one
reads, runs code in the workers: an open Redis becomes an open shell. And such jobs break at each upgrade of a class.

In the log: `Tried to load unspecified class`, `Can't get attribute`, `undefined class/module`.

## How it is found
Formula: high if a job hands its own arguments, in whatever form, to a loader that builds objects: `YAML.load`,
`Marshal.load`, `pickle`, `dill`, `jsonpickle`, `yaml.load` without a safe loader, `torch.load(weights_only=False)`;
medium if what it loads comes from a cache, or by PyYAML's FullLoader; low from elsewhere. High too: Sidekiq's delayed
extensions are enabled, or a waiting payload holds a pickle, or YAML that names Ruby objects

Arguments are followed through variables, attributes and the application's own functions. `YAML.load` of Psych 4 (Ruby
3.1) and later refuses objects, and what the source itself says is nobody else's.

## When it is wrong
Data that is signed and whose signature is checked before it is loaded.

## Confirm by hand
The line, and where the value in its brackets comes from; `redis-cli lindex queue:NAME -1`.

## How to fix
Pass ids and plain JSON. Read YAML by `safe_load`, keep caches in JSON or msgpack.

Risk: jobs that wait with the old form fail until both forms were read for one deploy.

Undo: the old loader.

## Unknown when
Nothing was found, and files could not be parsed or payloads could not be read.

## Source
Python, "pickle: Warning"; PyYAML, "Loading YAML"; Ruby, "Marshal: security considerations"; Psych 4's changes; Sidekiq
5.0's upgrade notes (delayed extensions are off, for they are YAML), and 8.1.3's changes.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, NotApplicable, Refused, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.code import Calls, Code, Deserialization, Deserializations, Origin
from kiqdoctor.doctor.facts.packages import Packages, Runtimes
from kiqdoctor.doctor.facts.queues import Argument, Samples
from kiqdoctor.doctor.rules import led_to, settled, told
from kiqdoctor.doctor.versions import version_of

FORMS = {"Ruby object in YAML", "Python pickle"}
EXTENSIONS = "Sidekiq::Extensions::"
ENABLES = ("Sidekiq::Extensions.enable_delay!", "Sidekiq::DelayExtensions.enable_delay!")
SEVERITIES = {Origin.ARGUMENT: Severity.HIGH, Origin.CACHE: Severity.MEDIUM, Origin.OTHER: Severity.LOW}
REFUSING = "4"  # Psych, whose load is safe_load
RUBY = "3.1"  # which brings it
BY_DEFAULT = ("load", "load_file")


@check("SEC003", severity=Severity.HIGH)
def unsafe_deserialization(
    code: Code | Missing,
    loads: Deserializations | Missing,
    calls: Calls | Missing,
    packages: Packages | Missing,
    runtimes: Runtimes | Missing,
    samples: Samples | Missing,
) -> Iterator[Verdict]:
    seen = [*_waiting(samples)] if isinstance(samples, Samples) else []
    read: list[Verdict] = []
    if isinstance(code, Code) and isinstance(loads, Deserializations) and isinstance(calls, Calls):
        refuses = _psych(packages, runtimes)
        read = [*_in_source(code, loads, calls, refuses)]
    yield from seen
    yield from (one for one in read if not (seen and isinstance(one, NotApplicable)))
    lacking = [
        one for one in (samples, code, loads, calls) if not isinstance(one, Samples | Code | Deserializations | Calls)
    ]
    yield from (Unknown(one.reason, one.unlock) for one in lacking if isinstance(one, Refused))
    if not seen and not read and lacking:
        yield NotApplicable("; ".join(dict.fromkeys(one.reason for one in lacking)))


def _in_source(code: Code, loads: Deserializations, calls: Calls, refuses: str) -> Iterator[Verdict]:
    found = [one for site in led_to(code, loads.sites) if (one := _judged(code, site, refuses)) is not None]
    found += [
        told(
            code,
            one,
            Severity.HIGH,
            "Delayed extensions are enabled: their jobs are YAML that builds any object",
            "Delete the line, and make a job of each thing that is delayed.",
            key="delay",
        )
        for one in calls.sites
        if one.name in ENABLES
    ]
    yield from found
    yield from settled(code, loads, found=bool(found))


def _judged(code: Code, site: Deserialization, refuses: str) -> Finding | None:
    owner, _, word = site.name.rpartition(".")
    if site.plain or site.origin not in SEVERITIES or (refuses and owner in {"YAML", "Psych"} and word in BY_DEFAULT):
        return None
    severity = SEVERITIES[site.origin]
    if _is_full(site):
        severity = severity.milder
    title = f"A job loads objects from {site.origin.value} by {site.name}"
    yours = "Pass ids and plain JSON in place of them." if site.origin is Origin.ARGUMENT else "Keep it in JSON."
    safe = f"Write {owner}.safe_load." if owner in {"YAML", "Psych", "yaml"} else yours
    return told(code, site, severity, title, safe, Evidence("data from", site.origin.value), key=site.name)


def _is_full(site: Deserialization) -> bool:
    """PyYAML's FullLoader, which builds few objects."""
    loaders = [one.text for one in site.arguments if one.name == "Loader"]
    return site.name.startswith("yaml.full_load") or any(one.endswith("FullLoader") for one in loaders)


def _psych(packages: Packages | Missing, runtimes: Runtimes | Missing) -> str:
    """What says that YAML.load refuses objects; "" where nothing does."""
    locked = packages.version_of("ruby", "psych") if isinstance(packages, Packages) else ""
    if locked:
        return f"psych {locked}" if _reaches(locked, REFUSING) else ""
    pins = [one.version for one in runtimes.all if one.language == "ruby"] if isinstance(runtimes, Runtimes) else []
    return f"Ruby {pins[0]}" if pins and all(_reaches(one, RUBY) for one in pins) else ""


def _reaches(text: str, least: str) -> bool:
    version, wanted = version_of(text), version_of(least)
    return version is not None and wanted is not None and version >= wanted


def _waiting(samples: Samples) -> Iterator[Verdict]:
    """Payloads whose arguments somebody will load so."""
    found: dict[str, dict[Argument, set[str]]] = {}
    for _, one in samples.all:
        for argument in one.arguments:
            if argument.form in FORMS:
                found.setdefault(one.job_class, {}).setdefault(argument, set()).add(one.jid)
    for name, arguments in sorted(found.items()):
        first = next(iter(arguments))
        extension = name.startswith(EXTENSIONS)
        yield Finding(
            f"job:{name}",
            f"Jobs of {name} carry a {first.form} in {first.path}: who loads it runs what it says",
            "Make a job of each thing that is delayed." if extension else "Pass ids and plain JSON.",
            tuple(Evidence(one.path, one.form, counted(len(jids), "sampled job")) for one, jids in arguments.items()),
        )
    if samples.unread:
        yield Unknown(f"not every payload was looked at: {samples.unread}", "a budget that reaches all queues")
    yield Evidence("payloads with serialised objects", str(sum(map(len, found.values()))), samples.text)
