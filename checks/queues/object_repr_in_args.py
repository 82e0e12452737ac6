"""Arguments are the text of an object, not data.

## Why it hurts
`#<User:0x000055d0c0ffee>` or `<Order object at 0x7f...>` is what an object became on its way through JSON: the job gets
a text that nothing can be found by, and fails or does nothing. Pickles and YAML of objects run code when they are read.

In the log: whatever the job makes of a text in place of an object.

## How it is found
Formula: fails if, in at least two sampled jobs of a class, an argument or something in it is as a whole the text of a
Ruby or Python object, a Django query set, YAML of a Ruby object, or a pickle

The probe tells where such a text stands and what it looks like; the text itself is not kept.

## When it is wrong
A job whose purpose is such texts (one that mails stack traces): suppress it for that class.

## Confirm by hand
`redis-cli lindex queue:NAME -1`, at the argument that the evidence names.

## How to fix
Pass ids and plain JSON; turn strict arguments on (`Sidekiq.strict_args!`, the default from 7 on; kiqdoctor's runtime
refuses such calls).

Risk: calls that passed objects raise where they are made.

Undo: turn strict arguments off.

## Unknown when
Payloads may not be read, or their last argument is encrypted.

## Source
Sidekiq wiki, Best Practices 1; Sidekiq 7.0 (strict arguments).

- LEAST: jobs of a class that make a habit; the catalogue's.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.queues import Argument, Samples, Trait

LEAST = 2
SHOWN = 5


@check("QUE012", severity=Severity.HIGH)
def object_repr_in_args(samples: Samples) -> Iterator[Verdict]:
    found: dict[str, dict[Argument, set[str]]] = {}
    encrypted: set[str] = set()
    for _, one in samples.all:
        if one.encrypted:
            encrypted.add(one.job_class)
        for argument in one.arguments:
            if argument.trait is Trait.OBJECT:
                found.setdefault(one.job_class, {}).setdefault(argument, set()).add(one.jid)
    for name, arguments in sorted(found.items()):
        jids = set.union(*arguments.values())
        if len(jids) >= LEAST:
            yield _finding(name, arguments, len(jids))
    if encrypted:
        names = ", ".join(sorted(encrypted)[:SHOWN])
        yield Unknown(
            f"the last argument of {names} is encrypted, and was not looked at", "nothing: that is its purpose"
        )
    if samples.unread:
        yield Unknown(f"not every payload was looked at: {samples.unread}", "a budget that reaches all queues")
    yield Evidence("arguments that are an object's text", str(sum(map(len, found.values()))), samples.text)


def _finding(name: str, arguments: dict[Argument, set[str]], jobs: int) -> Finding:
    ordered = sorted(arguments.items(), key=lambda one: -len(one[1]))
    evidence = tuple(
        Evidence(argument.path, argument.form, f"{counted(len(jids), 'job')}, {min(jids)}")
        for argument, jids in ordered[:SHOWN]
    )
    form = ordered[0][0].form
    title = (
        f"{counted(jobs, f'sampled job of {name} has', f'sampled jobs of {name} have')}"
        f" a {form} as text in the arguments"
    )
    return Finding(f"job:{name}", title, "Pass ids and plain JSON.", evidence)
