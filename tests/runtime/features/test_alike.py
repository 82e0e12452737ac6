"""An end that is told as one of many says what it would say by itself."""

from itertools import product
from typing import Any

import msgspec
import pytest

import kiqdoctor
from kiqdoctor.runtime.alike import Kinds
from kiqdoctor.runtime.endings import End, Step, ending
from kiqdoctor.wire.keys import Keys
from kiqdoctor.wire.payload import Known

KEYS = Keys("app")
NOW = 1_700_000_000.25
HOSTILE = ["one", "\0jid", "\0at", "\0lock", "\0tail", "ends in \0tail"]


def known(jid: str, lock: str | None, batch: str | None) -> Known:
    fields: dict[str, Any] = {
        "class": "All",
        "args": [],
        "jid": jid,
        "queue": "default",
        "kiq_lock": lock,
        "kiq_batch": batch,
    }
    return msgspec.convert(fields, Known)


def nothing() -> None: ...


@pytest.mark.parametrize("status", [True, False])
@pytest.mark.parametrize("end", [End.DONE, End.RETRY])
def test_it_says_the_same_whatever_the_job_s_words_are(end: End, status: bool) -> None:
    job = kiqdoctor.job(name="All", status=status)(nothing)
    kinds = Kinds(KEYS)
    stored = (Step("ZADD", KEYS.retry, ("5.0", b'{"x":1,"y":2}')),) if end is End.RETRY else ()
    for jid, lock, batch in product(HOSTILE, [None, *HOSTILE], [None, *HOSTILE]):
        record = known(jid, lock, batch)
        if end is End.RETRY:
            likewise = kinds.tried_again(job, record, b'{"x":1}', "5.0", ',"y":2}', NOW)
        else:
            likewise = kinds.done(job, record, b'{"x":1}', NOW)

        assert likewise.steps == ending(KEYS, end, record, job.options, "", NOW, stored).steps
