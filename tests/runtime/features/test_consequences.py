"""What goes with a job's end, for every end there is and whoever ends it: lock, batch, slot, status, death handlers.

One table says what each end means. A row is an end that a worker, a recovery or a testing mode can come to; a new
consequence is a column, and a new way to end is a row.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest
from fetching import KEYS, Process
from servers import RedisServer, eventually
from workers import Worker

import kiqdoctor
from kiqdoctor.runtime.batches import progress
from kiqdoctor.runtime.config import current
from kiqdoctor.runtime.fetching.seats import here
from kiqdoctor.runtime.job import REGISTRY, Job
from kiqdoctor.runtime.limits import Limits
from kiqdoctor.testing import fake, inline


@dataclass(frozen=True)
class After:
    """What is there after an end."""

    state: str
    open: int
    pending: int
    locked: bool
    mourned: bool
    slots: int = 0


DONE: Final = After("done", 0, 0, locked=False, mourned=False)
RETRY: Final = After("retry", 0, 1, locked=True, mourned=False)
DEAD: Final = After("dead", 0, 1, locked=False, mourned=True)
DROPPED: Final = DEAD  # kept nowhere, and ended as those are that are
GONE: Final = After("gone", 0, 0, locked=False, mourned=False)
LATER: Final = After("scheduled", 1, 1, locked=True, mourned=False)
BACK: Final = After("queued", 1, 1, locked=True, mourned=False)


def fails() -> None:
    raise ValueError("no")


def leaves() -> None:
    raise SystemExit(1)


def fine() -> None: ...


async def fails_beside() -> None:
    raise ValueError("no")


def steps(*, cursor: Any) -> Iterator[int]:
    yield 1
    raise ValueError("no")


@dataclass(frozen=True)
class Row:
    """A job that ends so: its function, its options, and what is there afterwards."""

    after: After
    function: Callable[..., Any] = fine
    options: dict[str, Any] = field(default_factory=dict)


PERFORMED: Final = {
    "it is done": Row(DONE),
    "it fails": Row(RETRY, fails),
    "it exits": Row(RETRY, leaves),
    "a coroutine fails": Row(RETRY, fails_beside),
    "an iterable one fails": Row(RETRY, steps),
    "it fails for the last time": Row(DEAD, fails, {"retry": 0}),
    "its formula says kill": Row(DEAD, fails, {"retry_in": lambda count, error: "kill"}),
    "its formula says discard": Row(DROPPED, fails, {"retry_in": lambda count, error: "discard"}),
    "it is never tried again": Row(DROPPED, fails, {"retry": False}),
    "it is not kept": Row(DROPPED, fails, {"retry": 0, "dead": False}),
    "its last word is discard": Row(DROPPED, fails, {"retry": 0, "retries_exhausted": lambda fields, error: "discard"}),
}


class Scene:
    """A job of a class with everything, in a batch."""

    def __init__(self, redis: Any, url: str, row: Row) -> None:
        self.redis, self.url, self.row = redis, url, row
        self.mourned: list[str] = []
        kiqdoctor.configure(redis=url, death_handlers=[lambda fields, error: self.mourned.append(fields["jid"])])
        self.job: Job[..., Any] = kiqdoctor.job(
            name="All", **{"unique_for": 600, "limit": 2, "status": True, **row.options}
        )(row.function)
        with kiqdoctor.Batch() as batch:
            self.jid = self.job.perform_async()
        self.batch = batch.id

    def change(self, **fields: Any) -> None:
        """Its payload as it lies in the queue."""
        [raw] = self.redis.lrange("queue:default", 0, -1)
        self.redis.lset("queue:default", 0, json.dumps({**json.loads(raw), **fields}))

    def after(self) -> After:
        found = progress(self.batch)
        state = kiqdoctor.Status(self.jid).read()
        assert found is not None
        assert state is not None
        assert self.mourned in ([], [self.jid])
        return After(
            state.state,
            found.open,
            found.pending,
            locked=bool(list(self.redis.scan_iter("kiq:unique:*"))),
            mourned=bool(self.mourned),
            slots=self.redis.zcard("kiq:slots:All"),
        )


@pytest.fixture
def scene(redis: Any, redis_server: RedisServer) -> Callable[[Row], Scene]:
    return lambda row: Scene(redis, redis_server.url, row)


# -- a worker ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", PERFORMED.values(), ids=PERFORMED)
def test_performed(lab: Any, scene: Callable[[Row], Scene], row: Row) -> None:
    found = scene(row)
    time.sleep(0.002)
    lab.work()

    assert found.after() == row.after


@pytest.mark.parametrize("name", ["it is done", "it fails", "it is not kept"])
def test_performed_by_sidekiq_s_own_fetch(scene: Callable[[Row], Scene], name: str) -> None:
    row = PERFORMED[name]
    found = scene(row)
    with kiqdoctor.embed(concurrency=1, fetch="basic"):
        eventually(lambda: found.after() == row.after)


def test_expired(lab: Any, scene: Callable[[Row], Scene]) -> None:
    found = scene(Row(GONE, options={"expires_in": 0.001}))
    time.sleep(0.002)
    lab.work()

    assert found.after() == GONE


SHORT: Final = ("retry", "created_at", "enqueued_at", "unique_for", "expires_in")  # what another producer may leave out


def shortened(redis: Any) -> None:
    """The payload as a producer writes it that knows little."""
    [raw] = redis.lrange("queue:default", 0, -1)
    fields = {name: value for name, value in json.loads(raw).items() if name not in SHORT}
    redis.lset("queue:default", 0, json.dumps(fields))


def test_a_payload_with_few_fields_holds_what_it_says(lab: Any, redis_server: RedisServer) -> None:
    scene = Scene(lab.redis, redis_server.url, Row(DONE, options={"status": False, "limit": None}))
    shortened(lab.redis)
    lab.work()
    found = progress(scene.batch)

    assert not list(lab.redis.scan_iter("kiq:unique:*"))
    assert found is not None
    assert found.succeeded


def test_a_payload_with_few_fields_expires(lab: Any) -> None:
    late = kiqdoctor.job(name="Late", expires_in=0.001)(lambda: lab.note("ran"))
    late.perform_async()
    shortened(lab.redis)
    time.sleep(0.002)
    lab.work()

    assert lab.seen == []


def test_over_its_limit(lab: Any, scene: Callable[[Row], Scene]) -> None:
    found = scene(Row(LATER))
    others = {"somebody|a": 1, "somebody|b": 2}
    lab.redis.zadd("kiq:slots:All", others)
    lab.redis.set(KEYS.lease("somebody"), "1", ex=60)
    lab.work()
    lab.redis.zrem("kiq:slots:All", *others)

    assert found.after() == LATER


def test_interrupted(lab: Any, scene: Callable[[Row], Scene]) -> None:
    begun = threading.Event()

    def endless(*, cursor: Any) -> Iterator[int]:
        while True:
            begun.set()
            time.sleep(0.001)
            yield 1

    found = scene(Row(BACK, endless))
    with kiqdoctor.embed(concurrency=1):
        assert begun.wait(60)

    assert found.after() == BACK


@pytest.mark.parametrize(
    ("options", "after"), [({"retry": 3}, RETRY), ({"retry": 0}, DEAD), ({"retry": False}, DROPPED)]
)
def test_nobody_knows_its_class(lab: Any, scene: Callable[[Row], Scene], options: dict[str, Any], after: After) -> None:
    found = scene(Row(after, options=options))
    del REGISTRY["All"]
    lab.work()

    assert found.after() == after


def test_nobody_knows_its_class_and_it_has_expired(lab: Any, scene: Callable[[Row], Scene]) -> None:
    found = scene(Row(GONE, options={"expires_in": 0.001}))
    del REGISTRY["All"]
    time.sleep(0.002)
    lab.work()

    assert found.after() == GONE


def test_its_numbers_are_no_formula_s(lab: Any, scene: Callable[[Row], Scene]) -> None:
    found = scene(Row(DEAD, fails))
    found.change(retry_for=10**400)
    lab.work()

    assert found.after() == DEAD


APP: Final = """
import redis, time
from kiqdoctor import configure, job
client = redis.Redis.from_url("{url}")
configure(death_handlers=[lambda fields, error: client.rpush("mourned", fields["jid"])])

@job(name="All", unique_for=600, limit=2, status=True, {options})
def everything():
    client.rpush("began", 1)
    time.sleep(600)
"""


@pytest.mark.parametrize(
    ("options", "after"),
    [({}, BACK), ({"at_most_once": True}, DEAD), ({"at_most_once": True, "dead": False}, DROPPED)],
    ids=["back", "dead", "dropped"],
)
def test_at_the_deadline(
    lab: Any, scene: Callable[[Row], Scene], redis_server: RedisServer, options: dict[str, Any], after: After
) -> None:
    found = scene(Row(after, options=options))
    words = ", ".join(f"{name}={value!r}" for name, value in options.items())
    app = APP.replace("{url}", redis_server.url).replace("{options}", words)
    with Worker.start(app, redis_server.url, "-t", "0.1", "-c", "1") as worker:
        eventually(lambda: lab.redis.llen("began") == 1)
        eventually(lambda: found.after().state == "running")  # it is told soon, not at once
        assert found.after().slots == 1
        assert worker.stop() == 0
    found.mourned += [jid.decode() for jid in lab.redis.lrange("mourned", 0, -1)]

    assert found.after() == after


# -- a recovery ----------------------------------------------------------------------------------------------------

RECOVERED: Final[dict[str, tuple[dict[str, Any], dict[str, Any], After]]] = {
    "its first death": ({}, {}, BACK),
    "its second": ({}, {"recovered": 1}, BACK),
    "poison": ({}, {"recovered": 2}, DEAD),
    "poison that is not kept": ({"dead": False}, {"recovered": 2}, DROPPED),
    "at most once": ({"at_most_once": True}, {"kiq_started": "here:1:a"}, DEAD),
    "at most once and not kept": ({"at_most_once": True, "dead": False}, {"kiq_started": "here:1:a"}, DROPPED),
    "at most once and not begun": ({"at_most_once": True}, {}, BACK),
}


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize(("options", "fields", "after"), RECOVERED.values(), ids=RECOVERED)
def test_recovered(
    redis: Any,
    redis_server: RedisServer,
    scene: Callable[[Row], Scene],
    options: dict[str, Any],
    fields: dict[str, Any],
    after: After,
    known: bool,
) -> None:
    found = scene(Row(after, options=options))
    found.change(**fields)
    dead, survivor = Process(redis_server.url), Process(redis_server.url)
    try:
        dead.need()
        assert Limits(redis, KEYS).enter(found.job, dead.identity) == 0
        redis.hset(KEYS.status(found.jid), "state", "running")
        dead.sit(replace(here(), started="long before"))
        dead.die()
        redis.delete(KEYS.lease(dead.identity), KEYS.recovering)
        if not known:  # whoever recovers it need not have imported it
            del REGISTRY["All"]

        assert survivor.recovery(current()).scan() == 1
    finally:
        survivor.leave()

    assert found.after() == after


def test_whoever_waits_for_a_job_that_recovery_buries_is_told(
    redis: Any, redis_server: RedisServer, scene: Callable[[Row], Scene]
) -> None:
    found = scene(Row(DEAD, options={"at_most_once": True}))
    found.change(kiq_started="here:1:a")
    dead, survivor = Process(redis_server.url), Process(redis_server.url)
    heard: list[Any] = []
    waiting = threading.Thread(target=lambda: heard.append(kiqdoctor.Status(found.jid).wait(timeout=60)))
    waiting.start()
    try:
        dead.need()
        dead.die()
        redis.delete(KEYS.lease(dead.identity), KEYS.recovering)
        survivor.recovery(current()).scan()
        waiting.join(60)
    finally:
        survivor.leave()

    assert [state.state for state in heard] == ["dead"]


def test_a_job_whose_status_nobody_wants_gets_none(redis: Any, redis_server: RedisServer) -> None:
    plain = kiqdoctor.job(name="Plain")(fine)
    jid = plain.perform_async()
    dead, survivor = Process(redis_server.url), Process(redis_server.url)
    try:
        dead.need()
        dead.die()
        redis.delete(KEYS.lease(dead.identity), KEYS.recovering)
        assert survivor.recovery(current()).scan() == 1
    finally:
        survivor.leave()

    assert not redis.exists(KEYS.status(jid))


# -- what takes Redis' place in tests ------------------------------------------------------------------------------

NOWHERE: Final = "redis://127.0.0.1:1/0"  # whoever asks it has failed


@dataclass
class Told:
    """What a batch's callbacks and death handlers heard."""

    events: list[str] = field(default_factory=list)
    mourned: list[str] = field(default_factory=list)


@pytest.fixture
def told() -> Told:
    heard = Told()
    kiqdoctor.configure(redis=NOWHERE, death_handlers=[lambda fields, error: heard.mourned.append(fields["jid"])])
    kiqdoctor.job(name="Heard")(lambda batch, event: heard.events.append(event))
    return heard


def everything(row: Row) -> Job[..., Any]:
    return kiqdoctor.job(name="All", **{"unique_for": 600, "limit": 2, "status": True, **row.options})(row.function)


def state(jid: str) -> str:
    found = kiqdoctor.Status(jid).read()
    return found.state if found is not None else "unknown"


@pytest.mark.parametrize("row", PERFORMED.values(), ids=PERFORMED)
def test_faked(told: Told, row: Row) -> None:
    job, heard = everything(row), REGISTRY["Heard"]
    with fake() as pushed:
        with kiqdoctor.Batch(on_complete=(heard, "complete"), on_success=(heard, "success")):
            jid = job.perform_async()
        assert state(jid) == "queued"
        time.sleep(0.002)
        with suppress(ValueError, SystemExit):
            pushed.drain()
        pushed.drain()  # what the batch has pushed
        assert state(jid) == row.after.state
    expected = [*(["complete"] if not row.after.open else []), *(["success"] if not row.after.pending else [])]

    assert told.events == expected
    assert told.mourned == ([jid] if row.after.mourned else [])


@pytest.mark.parametrize("row", PERFORMED.values(), ids=PERFORMED)
def test_inline(told: Told, row: Row) -> None:
    jids: list[str] = []

    def noted(job: kiqdoctor.Running, proceed: Callable[[], Any]) -> None:
        jids.append(job.jid)
        proceed()

    kiqdoctor.configure(redis=NOWHERE, middleware=[noted], death_handlers=current().death_handlers)
    with inline():
        with suppress(ValueError, SystemExit):
            everything(row).perform_async()
        [jid] = jids
        assert state(jid) == row.after.state

    assert told.mourned == ([jid] if row.after.mourned else [])
