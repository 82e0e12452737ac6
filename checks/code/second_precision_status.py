"""What a job updates is cached by a stamp of whole seconds: a page that polls for it is served what is stale.

## Why it hurts
A job sets its record twice within a second, to running and to done: the stamp stays, and so do the cache's key and the
ETag. Whoever polls sees the first state until something else changes, in production and never in development.

In the log: 304, or nothing.

## How it is found
Formula: fails if a cache's key, an ETag or Last-Modified is made of whole seconds of a record's updated_at (`int(ts)`,
`.to_i`, `%s`, `last_modified:` alone, `cache_timestamp_format = :number`), or of a column without fractions
(`precision: 0`, MySQL's DATETIME without fsp), and a job writes records of that name:
medium where it writes what they have come to (status, progress, finished_at), which it does more than once, else low

Names are compared (`report.updated_at`, a job that saves a Report): whose record it is at run time is not known.

## When it is wrong
The job sets it once only; the key holds a version or a digest too; nobody polls. Views (ERB) are not read.

## Confirm by hand
Change the record twice within a second, and ask for the page with the first answer's ETag.

## How to fix
Put a counter that rises into the key (`lock_version`), or the stamp with its fraction (`:usec`, `precision: 6`); let
what is polled not be cached at all.

Risk: a new key empties that part of the cache once.

Undo: the old key.

## Unknown when
Nothing was found and files could not be parsed.

## Source
Sidekiq wiki, Problems and Troubleshooting (cache_key); RFC 9110, 8.8.2: HTTP dates have a resolution of one second.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Location, Severity, Verdict, check
from kiqdoctor.doctor.facts.code import Code
from kiqdoctor.doctor.facts.code.habits import Precision, WholeSecond, WholeSeconds
from kiqdoctor.doctor.rules import settled

REMEDIES = {
    Precision.KEY: "Put a version that rises into the key, or the stamp with its fraction.",
    Precision.VALIDATOR: "Give an ETag of a version that rises in place of the date alone.",
    Precision.SETTING: "Write config.active_record.cache_timestamp_format = :usec.",
    Precision.COLUMN: "Give the column fractions (precision: 6, fsp=6).",
}


@check("COD013", severity=Severity.MEDIUM)
def second_precision_status(code: Code, whole: WholeSeconds) -> Iterator[Verdict]:
    found = [_finding(code, one) for one in whole.sites if code.jobs]
    yield from found
    yield from settled(code, whole, found=bool(found))


def _finding(code: Code, one: WholeSecond) -> Finding:
    place = code.place(one)
    where = code.functions[one.function].name
    writer = code.functions[one.writer]
    return Finding(
        f"code:{where}",
        f"What a job updates is told by {one.how}: {one.name}",
        REMEDIES[one.how],
        (Evidence("a job writes it in", writer.name, f"{writer.place.path}:{writer.place.line}"),),
        severity=Severity.MEDIUM if one.stages else Severity.LOW,
        location=Location(place.path, place.line, place.column),
        key=f"{one.how.name}:{one.name}",
    )
