"""The UI's counters beside those of Redis."""

import time
from typing import Any, Final

import msgspec

from kiqdoctor.doctor.facts.web import Bracketed, WebCounts
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.tools import Redis, Web
from kiqdoctor.probes.web.assets import CREDENTIALS, shown
from kiqdoctor.probes.web.visiting import Answer, visiting
from kiqdoctor.text import clean
from kiqdoctor.wire.keys import FAILED, PROCESSED, Keys
from kiqdoctor.wire.numbers import whole

ROUNDS: Final = 3
BETWEEN: Final = 0.2  # seconds
COUNTERS: Final = {"processed": PROCESSED, "failed": FAILED}


@probe(
    Read(f"GET /stats of the UI, {ROUNDS} times", "", "a page of 1 KB"),
    Read(f"GET {PROCESSED}, {FAILED} before and after", "+get", "O(1)", keys=(PROCESSED, FAILED)),
    lane=Lane.WEB,
    deadline_s=20.0,
)
def web_counts(web: Web, redis: Redis) -> WebCounts:
    """Each of the UI's answers between two looks at Redis: what only rises lies between, if it reads that one."""
    rounds, version = [], ""
    with visiting(web) as visitor:
        for turn in range(ROUNDS):
            if turn:
                time.sleep(BETWEEN)
            before = _counters(redis)
            stats = read_stats(shown(visitor, "stats"))
            after = _counters(redis)
            if stats is None:
                raise RefusalError(f"{web.url} has no /stats of Sidekiq's", f"the UI's root, and {CREDENTIALS}")
            told, version = stats
            rounds.append(tuple(Bracketed(name, before[name], told[name], after[name]) for name in COUNTERS))
    return WebCounts(web.url, tuple(rounds), version)


def _counters(redis: Redis) -> dict[str, int]:
    keys = Keys(redis.namespace)
    return {name: whole(redis.ask("GET", keys.name(key))) or 0 for name, key in COUNTERS.items()}


def read_stats(answer: Answer) -> tuple[dict[str, int], str] | None:
    """The counters and the server's version of a /stats; None where it is none."""
    try:
        found: Any = msgspec.json.decode(answer.body)
        told = {name: whole(found["sidekiq"][name]) for name in COUNTERS}
        version = found["redis"].get("redis_version", "")
    except (msgspec.MsgspecError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None
    counts = {name: count for name, count in told.items() if count is not None}
    return (counts, clean(str(version), 40)) if len(counts) == len(COUNTERS) else None
