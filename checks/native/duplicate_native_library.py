"""A worker has two copies of one native library loaded.

## Why it hurts
Two copies have two sets of global state and the same symbol names: what one has initialised the other uses. It crashes
in some order of imports and not in another; two OpenMP runtimes abort, or run each loop on twice the cores.

In the log: `Segmentation fault` within libssl, libxml2 or libgomp; `OMP: Error #15: Initializing libiomp5.so, but found
libomp already initialized`.

## How it is found
Formula: copies = files of one library's exact name, by inode; different majors that no wheel has renamed, or two OpenMP
runtimes, are medium; a copy that a wheel brought under a name of its own is info

Read from the worker's own memory map, so that only what is loaded counts. `libssl-1a2b3c4d.so.3` in `NAME.libs/` is a
copy that auditwheel renamed so that it may live beside the system's: `import ssl, psycopg2` always has two.

## When it is wrong
Two copies whose users never meet, as most renamed ones.

## Confirm by hand
`grep '\\.so' /proc/PID/maps | awk '{print $6}' | sort -u | grep -E 'ssl|xml2|gomp|iomp'`

## How to fix
Let one provider bring it: build from source (`psycopg[c]`), take matching wheels, or one OpenMP.

Risk: a build from source needs the headers where it is built.

Undo: install the wheel again.

## Unknown when
The worker is of another user, whose memory map may not be read; the live processes are on other hosts. Copies that are
linked statically are not to be seen here.

## Source
Measured: psycopg2-binary beside the system's OpenSSL; psycopg2's documentation; xmlsec#320.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import Libraries, LocalProcesses, Mapped
from kiqdoctor.doctor.facts.redis import Clients, Connection
from kiqdoctor.doctor.workers_here import ROOT, Here, present
from kiqdoctor.regex import regex

LIBRARY = regex(
    r"(?P<stem>lib[^/]{1,255}?)(?P<hash>-[0-9a-f]{8})?(?P<version>[-.]\d[\d.]{0,40})?\.so(?P<major>\.\d{1,9})?[\d.]{0,40}"
)
OPENMP = frozenset({"libgomp", "libomp", "libiomp5"})
SHOWN = 6
REMEDY = "Let one package bring it: build the other from source, or take wheels that match."


@check("NAT002", severity=Severity.HIGH)
def duplicate_native_library(
    fleet: Fleet,
    local: LocalProcesses,
    libraries: Libraries,
    connection: Connection | Missing,
    clients: Clients | Missing,
) -> Iterator[Verdict]:
    seen = present(fleet, local, connection, clients)
    yield from seen.unseen()
    for one in seen.here:
        mapped = libraries.of(one.worker.pid)
        if one.worker.pid in libraries.unread:
            yield Unknown(f"the memory map of {one.named} may not be read", ROOT)
        yield from _openmp(one, mapped)
        for stem, copies in _copies(mapped).items():
            if stem not in OPENMP and len(copies) > 1:
                yield _duplicate(one, stem, copies)
        yield Evidence(f"libraries of {one.named}", str(len(mapped)), f"/proc/{one.worker.pid}/maps")
    yield seen.evidence


def _copies(mapped: Sequence[Mapped]) -> dict[str, list[Mapped]]:
    """Different files of the same library, by its exact name; extension modules are none."""
    found: dict[str, dict[str, Mapped]] = defaultdict(dict)
    for one in mapped:
        if named := LIBRARY.fullmatch(one.path.rpartition("/")[2]):
            found[named["stem"]].setdefault(one.inode, one)
    return {stem: list(each.values()) for stem, each in found.items()}


def _openmp(one: Here, mapped: Sequence[Mapped]) -> Iterator[Finding]:
    runtimes = [copy for stem, copies in _copies(mapped).items() if stem in OPENMP for copy in copies]
    if len(runtimes) > 1:
        title = f"{one.named} has {len(runtimes)} OpenMP runtimes loaded"
        yield _finding(one, title, runtimes, Severity.HIGH.milder, "openmp")


def _duplicate(one: Here, stem: str, copies: list[Mapped]) -> Finding:
    plain = [copy for copy in copies if not _renamed(copy)]
    majors = {_major(copy) for copy in plain}
    if len(majors) > 1:
        title = f"{one.named} has {len(plain)} different {stem} loaded"
        return _finding(one, title, copies, Severity.HIGH.milder, stem)
    renamed = "one that a wheel renamed" if len(plain) < len(copies) else "of one major version"
    return _finding(
        one, f"{one.named} has {len(copies)} copies of {stem} loaded, {renamed}", copies, Severity.INFO, stem
    )


def _renamed(copy: Mapped) -> bool:
    named = LIBRARY.fullmatch(copy.path.rpartition("/")[2])
    return bool(named and named["hash"]) and ".libs/" in copy.path


def _major(copy: Mapped) -> str:
    named = LIBRARY.fullmatch(copy.path.rpartition("/")[2])
    return (named["major"] or named["version"] or "") if named else ""


def _finding(one: Here, title: str, copies: Sequence[Mapped], severity: Severity, key: str) -> Finding:
    return Finding(
        one.subject,
        title,
        ""
        if severity is Severity.INFO
        else "Let one package bring it: build the other from source, or take matching wheels.",
        tuple(Evidence("mapped", copy.path, f"/proc/{one.worker.pid}/maps") for copy in copies[:SHOWN]),
        severity,
        key=key,
        lasting=one.lasting,
    )
