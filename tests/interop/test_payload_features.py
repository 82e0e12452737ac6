"""Every feature of a payload that Sidekiq has, both ways: what Ruby pushed we treat as Ruby would, and the reverse."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruby import RubyConsole, Sidekiq
from servers import RedisServer, eventually
from workers import Worker

import kiqdoctor
from kiqdoctor.wire import codec
from kiqdoctor.wire.payload import Payload, backtrace, read
from kiqdoctor.wire.stamps import stamp

pytestmark = pytest.mark.ruby

# FeatFail notes that it was tried, so that a test knows when there is nothing more to come.
PYTHON: Final = """
import redis
from kiqdoctor import job
client = redis.Redis.from_url("{url}")

class Refused(Exception):
    pass

def refuse(key, *args):
    client.rpush("tried:" + key, repr(args))
    if client.sismember("long", key):
        raise Refused("\\u00fc" * 20_000)
    if client.sismember("surrogate", key):
        raise Refused("half a pair: \\ud800")
    raise Refused(f"{key} \\u00fc")

@job(name="FeatNote", queue="py")
def note(key, *args):
    client.rpush("ran:" + key, repr(args))

@job(name="FeatFail", queue="py")
def fail(key, *args):
    refuse(key, *args)

@job(name="FeatBoth", queue="py")
def both(key, *args):
    refuse(key, *args)

@job(name="FeatNever", queue="py", retry=False)
def never(key, *args):
    refuse(key, *args)
"""
# Its own poller is idle, so that a test says when due jobs are pushed. Each job's hash is kept as middleware sees it,
# and the end of one that is not tried again is noted.
RUBY: Final = """
class Idle
  def initialize(*) = nil
  def enqueue_jobs(*) = nil
  def terminate = nil
end
class Seen
  def call(_worker, job, _queue)
    Sidekiq.redis { |redis| redis.rpush("seen:#{job['args'].first}", JSON.generate(job)) }
    yield
  end
end
Sidekiq.configure_server do |config|
  (Sidekiq::VERSION.to_i < 7 ? config.options : config)[:scheduled_enq] = Idle
  config.server_middleware { |chain| chain.add Seen }
  config.death_handlers << ->(job, _error) { Sidekiq.redis { |redis| redis.rpush("died:#{job['args'].first}", '') } }
end
class FeatNote
  include Sidekiq::Worker
  def perform(*) = nil
end
class FeatFail
  include Sidekiq::Worker
  def perform(*) = refuse
  def refuse = raise(ArgumentError, "kaputt \\u00fc <b>")
end
class FeatBoth < FeatFail
end
module ActiveJob
  module QueueAdapters
    class SidekiqAdapter
      class JobWrapper
        include Sidekiq::Worker
        def perform(data)
          Sidekiq.redis { |redis| redis.rpush('wrapped', JSON.generate(data)) }
        end
      end
    end
  end
end
module Sidekiq
  module ActiveJob
    Wrapper = ::ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper
  end
end
"""
ENQUEUE_DUE: Final = """\
require 'sidekiq/scheduled'
Sidekiq::Scheduled::Enq.new(*(Sidekiq::VERSION.to_i < 7 ? [] : [Sidekiq.default_configuration])).enqueue_jobs
nil
"""
WRAPPER: Final = "ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper"

ARGS: Final[dict[str, list[Any]]] = {
    "text": ["ü", "日本語", "😀", "e\u0301", "\u2028\u2029\ufeff", "", "a\\b \"c\" 'd' </script> &amp;"],
    "control characters": ["".join(chr(code) for code in range(0x20)), "\x7f\x80"],
    "integers": [0, -1, 2**31, 2**53, 2**53 + 1, -(2**63), 2**63 - 1, 2**63, 2**64 - 1],
    "floats": [0.0, -0.0, 1.0, 3.0, 0.1, 1 / 3, -2.5, 1795471663.516227, 123456789012345.6, 0.0001],
    "large floats": [1e15, 1125899906842624.5, 1e16, -1e20, 1.5e22, 1.7976931348623157e308, 9007199254740993.0],
    "small floats": [1e-5, -0.00001234, 1.5e-7, 2.2250738585072014e-308, 5e-324],
    "constants": [None, True, False],
    "nested": [{"a": {"b": [[], {}, [{"c": None}]]}, "": "", "z": 1, "y": 2}, [[[[]]]], {}],
}
HUGE: Final = [2**64, 2**70, -(2**70), 10**40]  # Ruby's integers end nowhere
JSON_VALUES: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(1e-4, 1e14)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
EXTRAS: Final = {
    "bid": "b-1",
    "cattr": {"user": {"id": 7, "roles": []}},
    "locale": "de",
    "expiry": 4102444800.5,  # the year 2100
    "whole": 3.0,
    "at_ms": 1795471663516,
    "big": 2**60,
    "nothing": None,
    "display_class": "Shown <As>",
    "wrapped": "Inner",
    "log_level": "debug",
    "retry_for": 500_000,
    "ключ": ["значение"],
}


@dataclass
class Site:
    """A Redis that Ruby and Python share."""

    url: str
    redis: Any
    ruby: RubyConsole
    sidekiq: Sidekiq

    @cached_property
    def respells(self) -> bool:
        """Whether its json gem spells floats otherwise than Ruby itself, and all json gems up to 2.10, do."""
        return bool(self.ruby.ask("JSON.generate(1e20) != 1e20.to_s"))

    def push(self, **item: Any) -> str:
        """The jid of what Ruby's own client pushed."""
        jid: str = self.ruby.ask("Sidekiq::Client.push(item)", item=item)
        return jid

    def entry(self, place: str, jid: str) -> tuple[Payload, float]:
        """A sorted set's entry with its score, once it is there."""

        def found() -> tuple[Payload, float] | None:
            for raw, score in self.redis.zrange(place, 0, -1, withscores=True):
                if read(raw).jid == jid:
                    return read(raw), score
            return None

        there: tuple[Payload, float] = eventually(found, f"{jid} in {place}")
        return there

    def holding(self, jid: str) -> set[str]:
        """Every list and sorted set that has the job."""
        lists = [(key, self.redis.lrange(key, 0, -1)) for key in self.redis.scan_iter(_type="list")]
        sets = [(key, self.redis.zrange(key, 0, -1)) for key in self.redis.scan_iter(_type="zset")]
        mark = f'"jid":"{jid}"'.encode()
        return {key.decode() for key, members in lists + sets if any(mark in raw for raw in members)}

    def rest(self, key: str, jid: str) -> set[str]:
        """Where the job is once our try of it has ended."""
        eventually(lambda: self.redis.exists(f"tried:{key}"), f"{key} tried")
        eventually(lambda: self.holding(jid) <= {"retry", "dead"}, f"{key} rests")
        return self.holding(jid)

    def due(self, place: str, payload: Payload) -> None:
        """Let its time have come."""
        assert self.redis.zadd(place, {payload.raw: time.time() - 1}, xx=True, ch=True) == 1


@contextmanager
def site(sidekiq: Sidekiq) -> Iterator[Site]:
    with RedisServer.start() as server, sidekiq.console(server.url) as ruby:
        client = server.client()
        yield Site(server.url, client, ruby, sidekiq)
        client.close()


@pytest.fixture(scope="module")
def python(sidekiq: Sidekiq) -> Iterator[Site]:
    """Our worker on the queue ``py``, and nobody else's."""
    with site(sidekiq) as made, our_worker(made):
        yield made


@pytest.fixture(scope="module")
def ruby(sidekiq: Sidekiq) -> Iterator[Site]:
    """Ruby's worker on the queue ``rb``."""
    with site(sidekiq) as made, sidekiq.start(RUBY, made.url, queues=("rb",)):
        yield made


@contextmanager
def our_worker(place: Site) -> Iterator[Worker]:
    with Worker.start(PYTHON.replace("{url}", place.url), place.url, "-q", "py", "-c", "4") as worker:
        yield worker


def job(place: Site, name: str, queue: str, **options: Any) -> Any:
    """A job that a Python client of this Redis pushes."""
    kiqdoctor.configure(redis=place.url)
    return kiqdoctor.job(name=name, queue=queue, **options)(lambda *args: None)


def exact(value: Any) -> str:
    """A value as text that tells 3 from 3.0, 0.0 from -0.0, and True from 1; the order of keys aside."""
    return json.dumps(value, sort_keys=True)


# Ruby pushes, we run and fail


@pytest.mark.parametrize("args", [*ARGS.values(), HUGE], ids=[*ARGS, "huge integers"])
def test_arguments_from_ruby_arrive_as_they_went(python: Site, args: list[Any]) -> None:
    key = f"arrive{args[0]!r}"
    python.push(**{"class": "FeatNote", "args": [key, *args], "queue": "py"})
    assert eventually(lambda: python.redis.lrange(f"ran:{key}", 0, -1)) == [repr(tuple(args)).encode()]


@pytest.mark.parametrize("args", [*ARGS.values(), HUGE], ids=[*ARGS, "huge integers"])
def test_arguments_from_ruby_survive_our_retry(python: Site, args: list[Any]) -> None:
    jid = python.push(**{"class": "FeatFail", "args": ["survive", *args], "queue": "py"})
    python.entry("retry", jid)
    assert python.ruby.ask(
        "Sidekiq::RetrySet.new.find_job(jid).args.eql?(args)", jid=jid, args=["survive", *args]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"retry": True}, "retry"),
        ({"retry": 3}, "retry"),
        ({"retry": 1}, "retry"),
        ({"retry": "often"}, "retry"),
        ({"retry": 0}, "dead"),
        ({"retry": 0, "dead": True}, "dead"),
        ({"retry": 0, "dead": False}, ""),
        ({"retry": False}, ""),
        ({"retry": False, "dead": True}, ""),
        ({"retry": 2, "retry_count": 0}, "retry"),
        ({"retry": 2, "retry_count": 1}, "dead"),
        ({"retry": True, "retry_count": 23}, "retry"),
        ({"retry": True, "retry_count": 24}, "dead"),
        ({"retry": 30, "retry_count": 24}, "retry"),
    ],
    ids=str,
)
def test_ruby_s_settings_decide_what_becomes_of_our_failure(python: Site, fields: dict[str, Any], place: str) -> None:
    key = str(fields)
    jid = python.push(**{"class": "FeatFail", "args": [key], "queue": "py", **fields})
    assert python.rest(key, jid) == ({place} if place else set())
    if place:
        payload, _ = python.entry(place, jid)
        assert {name: payload.fields[name] for name in fields if name != "retry_count"} == {
            name: value for name, value in fields.items() if name != "retry_count"
        }
        assert payload.retry_count == (fields["retry_count"] + 1 if "retry_count" in fields else 0)


@pytest.mark.parametrize("fields", [{"retry": None}, {"retry": False}], ids=str)
def test_a_job_whose_payload_leaves_it_open_is_tried_again_as_its_own_option_says(
    python: Site, fields: dict[str, Any]
) -> None:
    key = f"never{fields}"
    jid = python.push(**{"class": "FeatNever", "args": [key], "queue": "py", **fields})
    assert python.rest(key, jid) == set()


def test_every_field_of_ruby_s_survives_our_retry(python: Site) -> None:
    item = {"class": "FeatFail", "args": ["extras"], "queue": "py", "retry": 4, "tags": ["a", "ü"], **EXTRAS}
    pushed_at = time.time()
    jid = python.push(**item)
    payload, _ = python.entry("retry", jid)

    assert exact({name: payload.fields[name] for name in item}) == exact(item)
    added = payload.fields.keys() - item.keys()
    assert added == {
        *("jid", "created_at", "enqueued_at", "error_message", "error_class", "failed_at", "retry_count"),
    }
    for name in ("created_at", "enqueued_at", "failed_at"):
        assert type(payload.fields[name]) is (float if name == "failed_at" else python.sidekiq.stamp)
        assert pushed_at - 1 <= (payload.at(name) or 0) <= time.time() + 1
    assert payload.fields["error_message"] == "extras ü"
    assert payload.fields["error_class"] == "app.Refused"

    seen = python.ruby.ask(
        "job = Sidekiq::RetrySet.new.find_job(jid);"
        "[job.display_class, job.tags, job.queue, job['error_class'], job['bid'], job.created_at.year, job.error?]",
        jid=jid,
    )
    assert seen == [
        "Shown <As>",
        ["a", "ü"],
        "py",
        "app.Refused",
        "b-1",
        datetime.fromtimestamp(payload.at("created_at") or 0, UTC).year,
        True,
    ]


def test_stamps_of_sidekiq_8_survive_our_retry(python: Site) -> None:
    jid = python.push(**{"class": "FeatFail", "args": ["eight"], "queue": "py", "created_at": 1795471663516})
    payload, _ = python.entry("retry", jid)
    assert exact(payload.fields["created_at"]) == "1795471663516"


def test_retries_go_to_the_retry_queue_that_ruby_named(python: Site) -> None:
    jid = python.push(**{"class": "FeatFail", "args": ["elsewhere"], "queue": "py", "retry_queue": "held"})
    payload, _ = python.entry("retry", jid)
    assert (payload.queue, payload.fields["retry_queue"]) == ("held", "held")
    python.ruby.ask("Sidekiq::RetrySet.new.find_job(jid).retry", jid=jid)
    assert python.holding(jid) == {"queue:held"}


@pytest.mark.parametrize(("wanted", "lines"), [(True, None), (3, 3), (1, 1), (False, 0)], ids=str)
def test_ruby_reads_our_backtrace(python: Site, wanted: bool | int, lines: int | None) -> None:
    jid = python.push(**{"class": "FeatFail", "args": ["trace"], "queue": "py", "backtrace": wanted})
    python.entry("retry", jid)
    seen = python.ruby.ask("Sidekiq::RetrySet.new.find_job(jid).error_backtrace", jid=jid)
    if wanted is False:
        assert seen is None
        return
    assert seen
    assert lines is None or len(seen) == lines
    # Sidekiq keeps the first lines, and Ruby's first line is the place that raised.
    assert any("app.py" in line and "refuse" in line for line in seen)


@pytest.mark.parametrize(("kind", "length"), [("long", 10_000), ("surrogate", 14)])
def test_ruby_reads_our_error_s_message_whatever_it_holds(python: Site, kind: str, length: int) -> None:
    python.redis.sadd(kind, f"message {kind}")
    jid = python.push(**{"class": "FeatFail", "args": [f"message {kind}"], "queue": "py"})
    python.entry("retry", jid)
    seen = python.ruby.ask(
        "message = Sidekiq::RetrySet.new.find_job(jid)['error_message']; [message.length, message.valid_encoding?]",
        jid=jid,
    )
    assert seen == [length, True]


@pytest.mark.parametrize("count", [0, 1, 2, 5, 10, 24])
def test_the_next_try_lies_in_sidekiq_s_window(python: Site, count: int) -> None:
    already = {"retry_count": count - 1, "failed_at": 1795471663.25} if count else {}
    jids = [
        python.push(**{"class": "FeatFail", "args": [f"window {count}"], "queue": "py", "retry": 30, **already})
        for _ in range(8)
    ]
    for jid in jids:
        payload, score = python.entry("retry", jid)
        assert payload.retry_count == count
        since = payload.fields["retried_at" if count else "failed_at"]
        assert ("retried_at" in payload.fields) is bool(count)
        assert count**4 + 15 - 0.001 <= score - since < count**4 + 15 + 10 * (count + 1)
        assert payload.fields["failed_at"] == already.get("failed_at", payload.fields["failed_at"])


def test_a_failure_that_ruby_s_api_retries_is_the_first_retry_again(python: Site) -> None:
    jid = python.push(**{"class": "FeatFail", "args": ["api"], "queue": "py", "tenant": "acme"})
    first, _ = python.entry("retry", jid)
    python.ruby.ask("Sidekiq::RetrySet.new.find_job(jid).retry", jid=jid)
    eventually(lambda: python.redis.llen("tried:api") == 2)
    second, _ = python.entry("retry", jid)
    assert second.retry_count == 0
    assert second.fields["failed_at"] == first.fields["failed_at"]
    assert second.fields["retried_at"] > first.fields["failed_at"]
    assert second.fields["tenant"] == "acme"


def test_ruby_s_api_retries_what_died_with_us(python: Site) -> None:
    pushed_at = time.time()
    jid = python.push(**{"class": "FeatFail", "args": ["undead"], "queue": "py", "retry": 0})
    _, score = python.entry("dead", jid)
    assert pushed_at - 1 <= score <= time.time() + 1
    python.ruby.ask("Sidekiq::DeadSet.new.find_job(jid).retry", jid=jid)
    eventually(lambda: python.redis.llen("tried:undead") == 2)
    assert python.rest("undead", jid) == {"dead"}


def test_bulk_from_ruby_runs_once_each(python: Site) -> None:
    items = {"class": "FeatNote", "args": [["bulk", number] for number in range(50)], "queue": "py", "tags": ["b"]}
    jids = python.ruby.ask("Sidekiq::Client.push_bulk(items)", items=items)
    assert len(set(jids)) == 50
    eventually(lambda: python.redis.llen("ran:bulk") == 50)
    assert sorted(python.redis.lrange("ran:bulk", 0, -1)) == sorted(f"({number},)".encode() for number in range(50))


def test_our_poller_pushes_what_ruby_scheduled_and_what_failed(python: Site) -> None:
    past = time.time() - 5
    extras = {**EXTRAS, "tags": ["a"], "queue": "due", "retry": 4}
    scheduled = python.push(**{"class": "FeatNote", "args": ["at", *ARGS["floats"]], "at": past, **extras})
    items = {"class": "FeatNote", "args": [["x"], ["y"]], "at": [past, past + 1], "queue": "due"}
    bulk = python.ruby.ask("Sidekiq::Client.push_bulk(items)", items=items)
    failing = {"class": "FeatFail", "args": ["due"], **extras, "queue": "py", "retry_queue": "due"}
    failed = python.push(**failing)
    entry, _ = python.entry("retry", failed)
    python.due("retry", entry)

    eventually(lambda: python.redis.llen("queue:due") == 4)
    assert python.redis.sismember("queues", "due")
    found = {read(raw).jid: read(raw) for raw in python.redis.lrange("queue:due", 0, -1)}
    assert found.keys() == {scheduled, *bulk, failed}
    for payload in found.values():
        assert "at" not in payload.fields
        assert past <= payload.fields["enqueued_at"] <= time.time() + 1
    wanted = {"class": "FeatNote", "args": ["at", *ARGS["floats"]], **extras}
    assert exact({name: found[scheduled].fields[name] for name in wanted}) == exact(wanted)
    assert found[failed].fields == {**entry.fields, "enqueued_at": found[failed].fields["enqueued_at"]}
    assert found[failed].retry_count == 0


@pytest.mark.parametrize("wrapper", [WRAPPER, "Sidekiq::ActiveJob::Wrapper"])
def test_an_activejob_is_tried_again_with_all_its_fields_and_left_alone(
    python: Site, wrapper: str, sidekiq: Sidekiq
) -> None:
    data: dict[str, Any] = {
        "job_class": "MailJob",
        "job_id": "b6f0c1f0-0000-4000-8000-000000000000",
        "provider_job_id": None,
        "queue_name": "py",
        "priority": None,
        "arguments": [{"_aj_globalid": "gid://app/User/1"}, "ü", 1.0, {"_aj_symbol_keys": ["a"], "a": 1}],
        "executions": 0,
        "exception_executions": {},
        "locale": "en",
        "timezone": "UTC",
        "enqueued_at": "2026-11-23T22:00:00Z",
    }
    item = {"class": wrapper, "wrapped": "MailJob", "queue": "py", "args": [data], "retry": 5, "retry_queue": "rb_aj"}
    jid = python.push(**item)
    payload, score = python.entry("retry", jid)
    assert exact({name: payload.fields[name] for name in item}) == exact({**item, "queue": "rb_aj"})
    assert payload.retry_count == 0
    assert 15 <= score - payload.fields["failed_at"] + 0.001 < 26
    assert wrapper in payload.fields["error_message"]
    if wrapper != WRAPPER and sidekiq.major < 8:
        return  # which these do not know

    seen = python.ruby.ask("job = Sidekiq::RetrySet.new.find_job(jid); [job.display_class, job.display_args]", jid=jid)
    plain = ["gid://app/User/1", "ü", 1.0, {"a": 1}]
    assert seen == ["MailJob", data["arguments"] if sidekiq.major < 7 else plain]
    with sidekiq.start(RUBY, python.url, queues=("rb_aj",)):
        python.ruby.ask("Sidekiq::RetrySet.new.find_job(jid).retry", jid=jid)
        ran = eventually(lambda: python.redis.lpop("wrapped"))
    assert exact(json.loads(ran)) == exact(data)


# Ruby's API on what we wrote


def test_ruby_s_api_deletes_each_of_ours_and_nothing_else(python: Site) -> None:
    args = [value for group in ("text", "control characters", "integers", "floats", "nested") for value in ARGS[group]]
    options = {"tags": ["a"], "backtrace": True}
    waiting = job(python, "FeatIdle", "idle", **options)
    queued = waiting.perform_bulk([[number, *args] for number in range(3)])
    scheduled = [waiting.perform_in(3600, number, *args) for number in range(3)]
    retrying = job(python, "FeatFail", "py", **options).perform_bulk([["delete", *args] for _ in range(3)])
    dying = job(python, "FeatFail", "py", retry=0, **options).perform_bulk([["delete", *args] for _ in range(3)])
    for place, jids in (("schedule", scheduled), ("retry", retrying), ("dead", dying)):
        for jid in jids:
            python.entry(place, jid)

    for place, opened, jids in (
        ("queue:idle", "Sidekiq::Queue.new('idle')", queued),
        ("schedule", "Sidekiq::ScheduledSet.new", scheduled),
        ("retry", "Sidekiq::RetrySet.new", retrying),
        ("dead", "Sidekiq::DeadSet.new", dying),
    ):
        assert python.ruby.ask(f"!!{opened}.find_job(jid).delete", jid=jids[1]), place
        assert [python.holding(jid) for jid in jids] == [{place}, set(), {place}]
    for place, opened, jids in (
        ("schedule", "Sidekiq::ScheduledSet.new", scheduled),
        ("retry", "Sidekiq::RetrySet.new", retrying),
    ):
        _, score = python.entry(place, jids[0])
        python.ruby.ask(f"{opened}.fetch(score, jid).each(&:delete).size", score=score, jid=jids[0])
        assert [python.holding(jid) for jid in jids] == [set(), set(), {place}]


def test_ruby_s_api_reads_what_we_queued(python: Site) -> None:
    options = {"retry": 3, "backtrace": 5, "dead": False, "tags": ["a", "ü"]}
    jids = job(python, "FeatRead", "read", **options).perform_bulk([["one"], ["two"], ["three"]])
    seen = python.ruby.ask(
        "queue = Sidekiq::Queue.new('read');"
        "[queue.size, queue.latency.between?(0, 60), queue.map { |job| [job.jid, job.klass, job.args, job.tags] },"
        " queue.first.item.slice('retry', 'backtrace', 'dead', 'queue'), queue.first.created_at.to_f,"
        " queue.first.enqueued_at.to_f]"
    )
    assert seen[:2] == [3, True]
    newest_first = list(zip(jids, [["one"], ["two"], ["three"]], strict=True))[::-1]
    assert seen[2] == [[jid, "FeatRead", args, ["a", "ü"]] for jid, args in newest_first]
    assert seen[3] == {"retry": 3, "backtrace": 5, "dead": False, "queue": "read"}
    assert abs(seen[4] - time.time()) < 60
    assert abs(seen[5] - time.time()) < 60


def test_ruby_s_api_reads_what_we_scheduled(python: Site) -> None:
    when = time.time() + 1234.5678
    later = job(python, "FeatRead", "read", tags=["later"])
    jid = later.perform_at(when, "at", 1.0)
    seen = python.ruby.ask(
        "job = Sidekiq::ScheduledSet.new.find_job(jid);"
        "[job.score, job.klass, job.args, job.tags, job.queue, job.item.key?('at'), job.enqueued_at]",
        jid=jid,
    )
    assert seen[0] == pytest.approx(when, abs=1e-6, rel=0)
    assert seen[1:] == ["FeatRead", ["at", 1.0], ["later"], "read", False, None]


@pytest.mark.parametrize("group", ARGS)
def test_ruby_s_api_reschedules_ours_instead_of_doubling_them(python: Site, group: str) -> None:
    if python.respells and any(map(exponent, ARGS[group])):
        pytest.skip("this json gem spells such floats otherwise than others do: no bytes of ours are right for both")
    queue = "reschedule"
    jid = job(python, "FeatRead", queue).perform_in(3600, *ARGS[group])
    to = time.time() + 7200
    python.ruby.ask("Sidekiq::ScheduledSet.new.find_job(jid).reschedule(to)", jid=jid, to=to)
    found = [score for raw, score in python.redis.zrange("schedule", 0, -1, withscores=True) if read(raw).jid == jid]
    assert found == [pytest.approx(to, abs=0.01, rel=0)]


def test_ruby_s_api_reschedules_our_retries(python: Site) -> None:
    jid = job(python, "FeatFail", "py", backtrace=True).perform_async("again", *ARGS["text"], *ARGS["floats"])
    payload, _ = python.entry("retry", jid)
    to = time.time() + 7200
    python.ruby.ask("Sidekiq::RetrySet.new.find_job(jid).reschedule(to)", jid=jid, to=to)
    moved = [
        (raw, score) for raw, score in python.redis.zrange("retry", 0, -1, withscores=True) if read(raw).jid == jid
    ]
    assert moved == [(payload.raw, pytest.approx(to, abs=0.01, rel=0))]


REGENERATED: Final = """
raws = Sidekiq.redis { |redis| redis.lrange("queue:#{queue}", 0, -1) }
raws.map { |raw| [raw, JSON.generate(JSON.parse(raw))] }.reject { |raw, again| raw == again }
"""


FLOAT: Final = re.compile(r"-?\d+(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+)")


def exponent(value: Any) -> bool:
    """A float that is written with one, which json gems spell differently."""
    return isinstance(value, float) and codec.odd(value)


def strangely_written(place: Site, queue: str) -> list[Any]:
    """What Ruby writes in other bytes than we did, but for floats that its json gem spells in a way of its own."""
    pairs = place.ruby.ask(REGENERATED, queue=queue)
    return [pair for pair in pairs if not (place.respells and len(set(map(evened, pair))) == 1)]


def evened(raw: str) -> str:
    """With floats spelt in one way."""
    return FLOAT.sub(lambda found: repr(float(found[0])), raw)


@pytest.mark.parametrize("group", ARGS)
def test_ruby_writes_our_json_again_byte_for_byte(python: Site, group: str) -> None:
    python.redis.delete("queue:bytes")
    job(python, "FeatBytes", "bytes", tags=["ü"]).perform_bulk([[value] for value in ARGS[group]])
    assert strangely_written(python, "bytes") == []


def test_ruby_writes_our_stamps_again_byte_for_byte(python: Site) -> None:
    now = time.time()
    stamps = codec.encode([stamp(now + number * 17.1234567) for number in range(20_000)]).decode()
    assert python.ruby.ask("JSON.generate(JSON.parse(raw))", raw=stamps) == stamps


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(batch=st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=9), min_size=1, max_size=20))
def test_ruby_writes_any_float_of_ours_again_byte_for_byte(python: Site, batch: list[list[Any]]) -> None:
    python.redis.delete("queue:any")
    job(python, "FeatBytes", "any").perform_bulk(batch)
    assert strangely_written(python, "any") == []


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(batch=st.lists(st.lists(JSON_VALUES, max_size=4), min_size=1, max_size=20))
def test_ruby_writes_any_json_of_ours_again_byte_for_byte(python: Site, batch: list[list[Any]]) -> None:
    python.redis.delete("queue:any")
    job(python, "FeatBytes", "any").perform_bulk(batch)
    assert strangely_written(python, "any") == []


# We push, Ruby runs and fails


def test_ruby_runs_what_we_pushed_with_every_field(ruby: Site) -> None:
    args = [value for group in ARGS.values() for value in group]
    options = {"retry": 3, "backtrace": 5, "dead": False, "tags": ["a", "ü"]}
    jid = job(ruby, "FeatNote", "rb", **options).perform_async("fields", *args)
    [raw] = eventually(lambda: ruby.redis.lrange("seen:fields", 0, -1))
    seen = json.loads(raw)
    assert seen["jid"] == jid
    assert exact(seen["args"]) == exact(["fields", *args])
    assert {name: seen[name] for name in options} == options
    assert (seen["class"], seen["queue"]) == ("FeatNote", "rb")
    assert {type(seen["created_at"]), type(seen["enqueued_at"])} == {float}


def test_ruby_runs_our_bulk_once_each(ruby: Site) -> None:
    jids = job(ruby, "FeatNote", "rb").perform_bulk([["bulk", number] for number in range(50)])
    eventually(lambda: ruby.redis.llen("seen:bulk") == 50)
    seen = [json.loads(raw) for raw in ruby.redis.lrange("seen:bulk", 0, -1)]
    assert sorted((one["args"][1], one["jid"]) for one in seen) == list(enumerate(jids))


def test_ruby_s_poller_pushes_what_we_scheduled(ruby: Site) -> None:
    note = job(ruby, "FeatNote", "rb", tags=["later"], retry=2)
    at_once = note.perform_in(-5, "past")
    jid = note.perform_in(0.05, "soon", *ARGS["floats"])

    def ran() -> list[bytes]:
        ruby.ruby.ask(ENQUEUE_DUE)
        found: list[bytes] = ruby.redis.lrange("seen:soon", 0, -1)
        return found

    [raw] = eventually(ran)
    seen = json.loads(raw)
    assert (seen["jid"], seen["tags"], seen["retry"], seen["queue"]) == (jid, ["later"], 2, "rb")
    assert exact(seen["args"]) == exact(["soon", *ARGS["floats"]])
    assert "at" not in seen
    [past] = eventually(lambda: ruby.redis.lrange("seen:past", 0, -1))
    assert json.loads(past)["jid"] == at_once


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({}, "retry"),
        ({"retry": True}, "retry"),
        ({"retry": 2}, "retry"),
        ({"retry": 0}, "dead"),
        ({"retry": 0, "dead": False}, ""),
        ({"retry": False}, ""),
    ],
    ids=str,
)
def test_our_settings_decide_what_becomes_of_ruby_s_failure(ruby: Site, options: dict[str, Any], place: str) -> None:
    key = f"settings {options}"
    jid = job(ruby, "FeatFail", "rb", **options).perform_async(key)
    eventually(lambda: ruby.redis.exists(f"died:{key}") or ruby.holding(jid) & {"retry"})
    assert ruby.holding(jid) - {f"seen:{key}"} == ({place} if place else set())


@pytest.mark.parametrize(("wanted", "lines"), [(True, None), (2, 2), (False, 0)], ids=str)
def test_python_reads_ruby_s_failure(ruby: Site, wanted: bool | int, lines: int | None) -> None:
    before = time.time()
    jid = job(ruby, "FeatFail", "rb", retry=7, tags=["a"], backtrace=wanted).perform_async("read", *ARGS["floats"])
    payload, score = ruby.entry("retry", jid)
    assert payload.retry_count == 0
    assert payload.fields["error_class"] == "ArgumentError"
    assert payload.fields["error_message"] == "kaputt ü <b>"
    assert (payload.fields["retry"], payload.fields["tags"], payload.queue) == (7, ["a"], "rb")
    assert exact(payload.args) == exact(["read", *ARGS["floats"]])
    failed_at = payload.at("failed_at")
    assert failed_at is not None
    assert before - 1 <= failed_at <= time.time() + 1
    assert 15 <= score - failed_at < 60  # by the clock at the end of its work on the failure, up to 24 s ahead
    trace = backtrace(payload.fields.get("error_backtrace"))
    assert len(trace) == lines if lines is not None else len(trace) > 2
    assert all("app.rb" in line and "refuse" in line for line in trace[:1])


def test_a_retry_queue_of_ours_is_where_ruby_s_retries_go(ruby: Site) -> None:
    jid = job(ruby, "FeatFail", "rb", retry_queue="held").perform_async("held")
    payload, _ = ruby.entry("retry", jid)
    assert payload.queue == "held"


# One job, both languages


def test_python_goes_on_counting_where_ruby_failed_and_ruby_where_python_did(ruby: Site) -> None:
    # Ruby fails it first, then we do twice, then Ruby again, where its three retries are used up.
    item = {"class": "FeatBoth", "args": ["both"], "queue": "rb", "retry": 3, "retry_queue": "py", "tenant": 1.0}
    jid = ruby.push(**item)
    first, _ = ruby.entry("retry", jid)
    assert (first.retry_count, first.fields["error_class"], first.queue) == (0, "ArgumentError", "py")

    with our_worker(ruby):
        second = failed_again(ruby, jid, first, tries=1)
        assert (second.retry_count, second.fields["error_class"]) == (1, "app.Refused")
        third = failed_again(ruby, jid, second, tries=2)
        assert (third.retry_count, third.fields["error_class"]) == (2, "app.Refused")
        assert third.fields["failed_at"] == first.fields["failed_at"]
        assert third.fields["retried_at"] > second.fields["retried_at"]

    ruby.due("retry", third)
    ruby.ruby.ask(ENQUEUE_DUE)
    assert ruby.holding(jid) - {"seen:both"} == {"queue:py"}
    ruby.redis.lmove("queue:py", "queue:rb", "RIGHT", "LEFT")
    last, _ = ruby.entry("dead", jid)
    assert (last.retry_count, last.fields["error_class"]) == (3, "ArgumentError")
    assert last.fields["failed_at"] == first.fields["failed_at"]
    assert exact({name: last.fields[name] for name in item}) == exact({**item, "queue": "py"})


def failed_again(place: Site, jid: str, before: Payload, *, tries: int) -> Payload:
    """The retry entry after Ruby's poller pushed it and we failed it once more."""
    place.due("retry", before)
    place.ruby.ask(ENQUEUE_DUE)
    eventually(lambda: place.redis.llen("tried:both") == tries)
    after, score = place.entry("retry", jid)
    count = after.retry_count
    assert count is not None
    assert count**4 + 15 - 0.001 <= score - after.fields["retried_at"] < count**4 + 15 + 10 * (count + 1)
    return after
