"""Keys become more and more, and none of them ever expires.

## Why it hurts
Results, locks and logs that nobody deletes fill the memory that queues need, over weeks; then pushes are refused
(RED005), or jobs are evicted (RED004).

In the log: nothing until `OOM command not allowed`.

## How it is found
Formula: a prefix has >= least-keys keys, >= LASTING of its sampled keys have no TTL, and it has GROWN more keys than in
the earlier recording; or a stream is GROWN entries longer than then, and no group has any pending

All key names are read by SCAN and grouped by what stands before an id; of each group a few keys are asked for their
TTL. What belongs to queue systems (results of Celery, RQ, arq..., locks and status of plug-ins) is medium, the
application's own is info.

## When it is wrong
Data that is meant to stay: the application's own, which is why it is info.

## Confirm by hand
`redis-cli --scan --pattern 'PREFIX*' | wc -l` twice, a day apart; `redis-cli ttl KEY`; `redis-cli xlen STREAM`.

## How to fix
Give them a TTL where they are written (Celery: `result_expires` and a backend that honours it; RQ: `result_ttl`), a
MAXLEN to streams (`XADD ... MAXLEN ~ N`). What is there already: `EXPIRE` on each, in pages of SCAN.

Risk: somebody may still read old results: ask its owner for how long.

Undo: PERSIST, as long as a key is there.

## Unknown when
There is no earlier recording (--baseline-run), it was made by an older version, or one of both scans did not see all
keys.

## Source
celery#436; Redis' SCAN, PTTL, XINFO GROUPS.

- LASTING: of the sampled keys; fewer without a TTL are exceptions.
- GROWN: keys or entries more than before; fewer may be chance.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Earlier, Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.keyspace import Keyspace, Prefix

LEAST = Threshold(
    name="least-keys",
    default=20,
    unit="keys",
    meaning="Fewer keys of one prefix are no growth that hurts.",
    source="ours: what somebody still reads through by hand",
    least=2,
)
LASTING = 0.9
GROWN = 10
SHOWN = 5


@check("RED012", severity=Severity.MEDIUM, thresholds=(LEAST,))
def keys_never_expire(
    keyspace: Keyspace, before: Earlier[Keyspace] | Missing, thresholds: Thresholds
) -> Iterator[Verdict]:
    if not isinstance(before, Earlier):
        yield Unknown(before.reason, getattr(before, "unlock", ""))
        return
    then = {one.name: one for one in before.fact.prefixes}
    for one in keyspace.prefixes:
        if one.own or one.name not in then:
            continue
        if _grows(one, then[one.name], thresholds[LEAST]):
            yield _finding(one, f"{then[one.name].keys} keys then, {one.keys} now", "keys")
        elif _lengthens(one, then[one.name]):
            yield _finding(one, f"{then[one.name].length} entries then, {one.length} now, none pending", "stream")
    for fact, which in ((keyspace, "now"), (before.fact, "in the earlier recording")):
        if not fact.complete:
            yield Unknown(f"{fact.scanned} of {fact.total} keys were looked at {which}", "a smaller database")
    largest = sorted(keyspace.prefixes, key=lambda one: -one.keys)[:SHOWN]
    yield Evidence("largest prefixes", ", ".join(f"{one.name}* {one.keys}" for one in largest) or "none", "SCAN")


def _grows(now: Prefix, then: Prefix, least: float) -> bool:
    lasting = bool(now.sampled) and now.lasting >= LASTING * now.sampled
    return lasting and now.keys >= least and now.keys - then.keys >= GROWN


def _lengthens(now: Prefix, then: Prefix) -> bool:
    """A stream to which somebody adds, and from which nobody trims; what a group has not acknowledged is work."""
    if now.length is None or then.length is None or now.pending != 0:
        return False
    return now.length - then.length >= GROWN


def _finding(one: Prefix, told: str, what: str) -> Finding:
    whose = one.owner or "the application"
    noun = "Keys" if what == "keys" else "The stream"
    return Finding(
        f"keys:{one.name}",
        f"{noun} {one.name}{'*' if what == 'keys' else ''} of {whose} only grow{'' if what == 'keys' else 's'}: {told}",
        "Give them a TTL where they are written." if what == "keys" else "Give it a MAXLEN where it is written.",
        (
            Evidence("without a TTL", f"{one.lasting} of {one.sampled} sampled", "PTTL"),
            Evidence("owner", whose, "key names"),
        ),
        Severity.MEDIUM if one.owner else Severity.INFO,
        key=what,
    )
