"""A job is handed what its queue's payload cannot carry.

## Why it hurts
A payload is JSON: text, numbers, lists, mappings with text for keys. Of a record, a date or a symbol the enqueue fails,
or the job gets something else than was handed over: a text that looks like an object, strings where symbols were.

In the log: `Job arguments to X must be native JSON types`, `Object of type User is not JSON serializable`.

## How it is found
Formula: fails if an enqueue hands on a value that the queue's own encoding has no word for, by itself or within a list
or mapping, or takes without a word and gives back as another (keys that are no text)

What a value is follows from what it was built by: `User.objects.get`, `User.find`, `datetime.now`, a lambda, a
literal. JSON (kiqdoctor, Sidekiq, Dramatiq, SAQ) has none of these; kombu's, which Celery uses, also has dates,
Decimal, UUID and bytes; RQ, Huey and arq pickle, which only lambdas, iterators and open files fail; of Active Job
only lambdas are told. Sidekiq before 7 takes symbols, also for keys, and gives texts back: low, and so is
a date whose job makes one of the text again (`Time.zone.parse(from.to_s)`). RQ's queues are asked
one by one: with its JSONSerializer they write JSON. Where the application has told its library a serializer of its
own, nothing is said.

## When it is wrong
A serializer that is registered where the source does not tell.

## Confirm by hand
Run the line in a console; read the payload with `kiqdoctor why JID`.

## How to fix
Hand on the id and read the record in the job; write `.isoformat()`, `str(...)`, `list(...)`, `"key" => value`.

Risk: jobs that wait with the old arguments still carry them.

Undo: the argument as it was.

## Unknown when
A queue library is locked and no job was recognised; or nothing was found and files could not be parsed.

## Source
Sidekiq wiki, Best Practices ("Make your job parameters small and simple"); Sidekiq 7, strict arguments; Dramatiq, Best
Practices; kombu 5.7, its JSON (measured).
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Location, Missing, Severity, Verdict, check, covers
from kiqdoctor.doctor.facts.code import Code, Encoding, Enqueue, Enqueues, Given, Value
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.rules import settled

DATA = {Value.DATE, Value.DECIMAL, Value.UUID, Value.BYTES}
CARRIES = {
    Encoding.JSON: frozenset[Value](),
    Encoding.KOMBU: frozenset(DATA),
    Encoding.PICKLE: frozenset(Value) - {Value.LAMBDA, Value.ITERATOR, Value.FILE},
    Encoding.ACTIVE_JOB: frozenset(Value) - {Value.LAMBDA},
    Encoding.UNKNOWN: frozenset(Value),
}
"""What each has a word for beyond plain JSON."""
TEXTS = {Value.SYMBOL, Value.SYMBOL_KEYS, Value.READ_DATE}
"""What a Sidekiq that is not strict takes, and gives back as texts, or what the job makes of texts again."""
INSTEAD = {
    Value.RECORD: "its id, and read it in the job",
    Value.RECORDS: "list(....values_list('id', flat=True))",
    Value.OBJECT: "its id, or the texts and numbers that it is made of",
    Value.CLASS: "its name",
    Value.DATE: "its .isoformat() (Ruby: .iso8601)",
    Value.READ_DATE: "its .iso8601, as the job reads it",
    Value.DURATION: "its seconds",
    Value.DECIMAL: "str(...) of it (Ruby: .to_s)",
    Value.UUID: "str(...) of it",
    Value.PATH: "str(...) of it (Ruby: .to_s)",
    Value.SET: "sorted(...) of it (Ruby: .to_a)",
    Value.BYTES: "base64 text, or the key under which it is stored",
    Value.SYMBOL: "a string",
    Value.KEYWORDS: '"key" => value',
    Value.SYMBOL_KEYS: "strings for keys (.stringify_keys)",
    Value.OTHER_KEYS: "strings for keys",
    Value.ITERATOR: "list(...) of it",
    Value.FILE: "its path, or the key under which it is stored",
}


@check("COD006", severity=Severity.HIGH)
def non_json_argument(code: Code, enqueues: Enqueues, packages: Packages | Missing) -> Iterator[Verdict]:
    told = False
    version = packages.version_of("ruby", "sidekiq") if isinstance(packages, Packages) else ""
    lenient = bool(enqueues.lenient) or covers("<7", version) is True
    for enqueue in enqueues.sites:
        wrong = [one for one in enqueue.given if one.what not in CARRIES[enqueue.encoding]]
        if wrong:
            told = True
            yield _finding(code, enqueue, wrong, lenient=lenient)
    yield from settled(code, enqueues, found=told)
    yield Evidence("enqueues", str(len(enqueues.sites)), "source code")


def _finding(code: Code, enqueue: Enqueue, wrong: list[Given], *, lenient: bool) -> Finding:
    place = code.place(enqueue)
    where = code.functions[enqueue.function].name
    job = enqueue.job or "A job"
    what = wrong[0].what
    plain = lenient and code.language(enqueue) == "ruby" and all(one.what in TEXTS for one in wrong)
    return Finding(
        f"code:{where}",
        f"{job} is handed {what}, which {enqueue.encoding} cannot carry",
        f"Hand on {INSTEAD.get(what, 'what names it')}.",
        (
            *(Evidence("handed", f"{one.what}: {one.text}" if one.text else one.what, "source code") for one in wrong),
            Evidence("enqueue", f"{job}.{enqueue.verb}".rstrip("."), f"{place.path}:{place.line}"),
        ),
        Severity.LOW if plain else Severity.HIGH,
        location=Location(place.path, place.line, place.column),
        key=f"{enqueue.job}:{what.name}",
    )
