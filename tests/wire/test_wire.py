"""The wire format: what goes in comes out, of every version, and nothing that cannot be read crashes."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kiqdoctor.wire import backoff, codec, heartbeat, payload, recovery, status
from kiqdoctor.wire.keys import Keys
from kiqdoctor.wire.stamps import plain, seconds, spelt, stamp

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, JSON, max_size=8))
def test_a_payload_keeps_every_field(fields: dict[str, object]) -> None:
    again = payload.read(payload.Payload(fields).encode())

    assert again.fields == fields
    assert json.loads(again.raw) == fields


@given(st.dictionaries(TEXT, JSON, max_size=4))
@example({"at": 1e-5}).via("a float that Ruby spells otherwise")
@example({"at": 0.0, "args": [1.5, {"deep": [1e22]}]}).via("one below")
def test_floats_are_spelt_wherever_they_stand(fields: dict[str, object]) -> None:
    assert codec.encode_payload({"in": [fields]}) == b'{"in":[%b]}' % codec.encode_payload(fields)


@given(st.dictionaries(TEXT, JSON, max_size=4), st.lists(JSON, max_size=4), TEXT, TEXT)
def test_what_is_encoded_once_for_many_has_the_bytes_of_each(
    shared: dict[str, object], args: list[object], jid: str, batch: str
) -> None:
    shared = {name: value for name, value in shared.items() if name not in {"class", "args", "jid", "created_at"}}
    whole = {**shared, "class": "Job", "args": args, "jid": jid, "created_at": 1795784813.511}
    raw = payload.Frame(shared, "Job", {"created_at": 1795784813.511}).payload(args, jid, odd=codec.strict(args, ""))

    assert raw == codec.encode_payload(whole)
    assert payload.joined(payload.joined(raw, "first"), batch) == codec.encode_payload({**whole, "kiq_batch": batch})


@given(st.lists(JSON, max_size=4))
def test_arguments_that_are_allowed_come_back(args: list[object]) -> None:
    codec.strict(args, "args")

    assert codec.decode(codec.encode(args)) == args


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ([1, (2,)], r"args\[1\]"),
        ([{"when": {3}}], r"args\[0\]\['when'\]"),
        ([{1: 2}], r"args\[0\]"),
        ([float("nan")], r"args\[0\]"),
        ([2**64], r"args\[0\]"),
        (["\ud800"], r"args\[0\]"),
        ([b"x"], r"args\[0\]"),
    ],
)
def test_arguments_that_would_change_are_refused_by_name(value: list[object], place: str) -> None:
    with pytest.raises(codec.ArgumentError, match=place):
        codec.strict(value, "args")


@given(st.binary(max_size=100))
def test_any_bytes_are_a_payload_or_a_payload_error(raw: bytes) -> None:
    try:
        read = payload.read(raw)
    except payload.PayloadError:
        return
    assert isinstance(read.job_class + read.queue + read.jid, str)


@example(1795471663.0)
@example(1795471662.9996)
@given(st.floats(1, 9e10))
def test_a_stamp_reads_back_in_seconds_and_milliseconds(at: float) -> None:
    written = codec.decode(codec.encode(stamp(at)))

    assert isinstance(written, float)
    assert seconds(written) == pytest.approx(at, abs=0.0015)
    assert repr(written).partition(".")[2].strip("0")
    assert len(repr(written).partition(".")[2]) <= 3
    assert seconds(1795471663516) == 1795471663.516
    assert plain(str(at)) == pytest.approx(at)


@pytest.mark.parametrize("value", [None, True, "x", "nan", [], {}, "1e400"])
def test_what_is_no_stamp(value: object) -> None:
    assert seconds(value) is None
    assert plain(value) is None


def test_a_failure_counts_from_nought() -> None:
    fresh = payload.new("A", [], "j", 1.5, {})

    once = payload.failed(fresh, "E", "boom" * 9999, "q", 2.5)
    twice = payload.failed(once, "E", "\ud800", "q", 3.5)

    assert (once.retry_count, once.at("failed_at"), len(once.fields["error_message"])) == (0, 2.5, 10_000)
    assert (twice.retry_count, twice.at("failed_at"), twice.at("retried_at")) == (1, 2.5, 3.5)
    assert "at" not in payload.pushed(fresh.with_(at=9), 4.5).fields


def failed_first(raw: bytes, record: payload.Plain, said: str) -> bytes | None:
    """Its bytes after that."""
    tail = payload.failed_first(raw, record, "E", said, spelt(2.5))
    return raw[:-1] + tail.encode() if tail is not None else None


@given(st.lists(JSON, max_size=3), TEXT, st.sampled_from(["msgspec", "json", "escaped", "pretty", "slashes"]))
@example([{"a": 1e22, "b": [0.00001]}], "", "json").via("floats that Ruby spells otherwise")
@example(["/<&>"], "", "slashes").via("an escape that nobody needs")
@example(["é"], "", "escaped").via("another")
def test_a_first_failure_has_the_bytes_that_any_other_has(args: list[object], said: str, how: str) -> None:
    fields = {"class": "A", "args": args, "jid": "j", "queue": "q", "retry": True}
    writers: dict[str, Callable[[dict[str, object]], bytes]] = {
        "msgspec": codec.encode_payload,
        "json": lambda value: json.dumps(value).encode(),
        "escaped": lambda value: json.dumps(value, separators=(",", ":")).encode(),
        "pretty": lambda value: json.dumps(value, indent=1, separators=(",", ":")).encode(),
        "slashes": lambda value: codec.encode(value).replace(b"/", b"\\/"),
    }
    raw = writers[how](fields)

    first = failed_first(raw, payload.known_payload(raw), said)

    assert first in {None, payload.failed(payload.read(raw), "E", said, "q", 2.5).encode()}


@given(st.floats(0, 4e9), st.integers(0, 10**9))
@example(1795471663.0, 15).via("a whole second")
def test_a_stamp_is_spelt_as_json_has_it(now: float, delay: int) -> None:
    found = spelt(now)

    assert (found.text, spelt(now)) == (codec.encode(stamp(now)).decode(), found)
    assert float(found.later(delay)) == pytest.approx(stamp(now) + delay, abs=1e-6)


@pytest.mark.parametrize("odd", [None, 1, [], "", "j", "\ud83d\ude00"])
@pytest.mark.parametrize(
    "raw", [b'{"jid":%b}', b'{"args":[{"jid":1}],"jid":"x","jid":%b,"y":2}', b"[%b]", b"%b", b'{"jid":%b']
)
def test_a_jid_is_read_as_the_rest_is(raw: bytes, odd: object) -> None:
    raw = raw.replace(b"%b", json.dumps(odd).encode())
    try:
        known = payload.read(raw).jid
    except payload.PayloadError:
        known = ""

    assert payload.jid_of(raw) == known


def test_a_first_failure_of_our_own_payload_is_written_behind_it() -> None:
    args = [1, "a: b", "é", None, {"deep": [True, 0.00001]}]
    fresh = payload.new("A", args, "j", 1.5, {"queue": "q"})
    for one in (fresh, payload.pushed(fresh, 2.25)):
        raw = one.encode()
        assert failed_first(raw, payload.plain_payload(raw), "no") == payload.failed(one, "E", "no", "q", 2.5).encode()


@given(st.lists(JSON, max_size=3), TEXT, TEXT, st.floats(1, 4e9), st.floats(1, 4e9))
def test_a_payload_of_ours_is_known_as_one(args: list[object], name: str, jid: str, made: float, sent: float) -> None:
    fresh = payload.new(name, args, jid, made, {"queue": "q"})
    raw = payload.pushed(fresh, sent).encode()

    assert payload._ours(payload.plain_payload(raw)) == raw


@pytest.mark.parametrize("number", [b"1.50", b"1e5", b"1E2", b"-0", b"10.000000", b"0.10000000000000001", b"1.0e-3"])
@pytest.mark.parametrize("place", ["args", "deep", "created_at", "enqueued_at", "expiry", "expires_in", "unique_for"])
def test_a_first_failure_keeps_no_number_that_ruby_would_write_otherwise(number: bytes, place: str) -> None:
    """Its API moves a job by writing it again: it would be there twice."""
    args, more = b"[1]", b""
    if place == "args":
        args = b'["a",%b]' % number
    elif place == "deep":
        args = b'[{"a":[%b]}]' % number
    else:
        more = b',"%b":%b' % (place.encode(), number)
    raw = b'{"retry":true,"queue":"q","class":"A","args":%b,"jid":"j"%b}' % (args, more)

    first = failed_first(raw, payload.known_payload(raw), "no")

    assert first in {None, payload.failed(payload.read(raw), "E", "no", "q", 2.5).encode()}


@pytest.mark.parametrize("old", [b",", b":", b"{", b"[", b"}", b"]"])
@pytest.mark.parametrize("space", [b" ", b"\t", b"\r"])
@pytest.mark.parametrize("before", [True, False])
def test_a_first_failure_keeps_no_spaces(old: bytes, space: bytes, before: bool) -> None:
    plain = b'{"queue":"q","class":"A","args":[1,2],"jid":"j","created_at":1.5,"enqueued_at":2.5}'
    for at in (number for number, byte in enumerate(plain) if plain[number : number + 1] == old):
        cut = at if before else at + 1
        raw = plain[:cut] + space + plain[cut:]

        first = failed_first(raw, payload.known_payload(raw), "no")

        assert first in {None, payload.failed(payload.read(raw), "E", "no", "q", 2.5).encode()}, raw


ODDITIES: list[object] = [None, 0, 1, 1.5, -1, 2**63, 2**70, 10**400, "", "x", "3", True, False, [], {}, [1], "\0"]
MEANT = ("job_class", "shown_class", "args", "jid", "expiry", "batch", "lock", "at_most_once")


@pytest.mark.parametrize("name", sorted(payload.Known.__struct_encode_fields__))
@pytest.mark.parametrize("kind", [payload.plain_payload, payload.known_payload], ids=["plain", "known"])
def test_a_record_means_what_its_fields_mean(name: str, kind: Callable[[bytes], payload.Plain]) -> None:
    fields = {"class": "A", "args": [1], "jid": "j", "queue": "default", "retry": True, "tags": []}
    for odd in ODDITIES:
        raw = (
            codec.encode_payload({**fields, name: odd})
            if odd != 10**400
            else b'{"%b":1%b}' % (name.encode(), b"0" * 400)
        )
        try:
            record, whole = kind(raw), payload.read(raw)
        except (*payload.NOT_PLAIN, payload.PayloadError):
            continue
        assert [getattr(record, one) for one in MEANT] == [getattr(whole, one) for one in MEANT]
        assert whole.following(1.0) is None
        again = failed_first(raw, record, "no") if record.untried and record.queue == "default" else None
        assert again in {None, payload.failed(whole, "E", "no", "default", 2.5).encode()}


def test_a_backtrace_of_any_version() -> None:
    packed = payload.pack_backtrace(["a", "b"])
    wrapped = "\n".join(packed[at : at + 10] for at in range(0, len(packed), 10))

    assert payload.backtrace(packed) == payload.backtrace(wrapped) == payload.backtrace(["a", "b"]) == ["a", "b"]
    assert payload.backtrace("not base64!") == payload.backtrace(None) == []


INFO = st.builds(
    heartbeat.Info,
    identity=TEXT,
    hostname=TEXT,
    pid=st.integers(0, 2**31 - 1),
    tag=TEXT,
    started_at=st.floats(1, 9e9),
    concurrency=st.integers(0, 1000),
    queues=st.lists(TEXT, unique=True, max_size=4).map(tuple),
    labels=st.lists(TEXT, unique=True, max_size=2).map(tuple),
    version=TEXT,
    embedded=st.booleans(),
    runtime=TEXT,
    capsules=st.lists(
        st.builds(
            heartbeat.CapsuleEntry,
            TEXT,
            st.integers(0, 50),
            st.dictionaries(TEXT, st.integers(0, 9), max_size=3).map(lambda found: tuple(found.items())),
        ),
        unique_by=lambda one: one.name,
        max_size=2,
    ).map(tuple),
    connections=st.none() | st.integers(0, 1000),
    rest=st.dictionaries(TEXT.map("x_{}".format), JSON, max_size=2),
)


@pytest.mark.parametrize("told", [b"-1", b"true", b'"8"', b"[]", b"1.5", b"null"])
def test_connections_that_are_no_number_are_not_told(told: bytes) -> None:
    assert heartbeat.read_info(b'{"connections":%b}' % told).connections is None


def test_a_status_that_somebody_else_wrote_is_read_as_far_as_it_goes() -> None:
    assert status.read({}) is None
    odd = status.read({b"state": b"done", b"version": b"x", b"at": b"nan", b"done": b"9" * 5000, b"\xff": b"\xff"})
    assert odd == status.JobState("done", 0, 0.0)
    with pytest.raises(codec.NotJsonError):
        status.read({b"state": b"done", b"result": b"{"})


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b"1",
        b'{"at":1,"identity":"a","by":"b","jobs":"x","buried":0}',
        b'{"at":1,"jobs":1,"buried":0}',
    ],
)
def test_what_is_no_entry_of_a_recovery_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="no entry of a recovery"):
        recovery.read(raw)


def test_an_entry_of_a_recovery_comes_back_as_it_went() -> None:
    entry = recovery.RecoveryEntry(1.5, "web-1:1:aa", "web-2:2:bb", 5, 1)
    assert recovery.read(entry.encode()) == entry


@given(INFO)
def test_info_round_trips(info: heartbeat.Info) -> None:
    taken = dict.fromkeys((*(info.queues or ()), *(name for one in info.capsules for name, _ in one.weights)))

    assert heartbeat.read_info(info.encode()) == replace(info, queues=tuple(taken))


def test_info_of_older_and_newer_versions() -> None:
    old = heartbeat.read_info(b'{"hostname":"vm","started_at":1.5,"pid":8,"tag":"t","concurrency":10,"queues":["a"]}')
    both = heartbeat.read_info(b'{"queues":["a"],"capsules":{"slow":{"weights":{"pdf":1,"a":1}}}}')
    new = heartbeat.read_info(b'{"capsules":{"default":{"concurrency":5,"weights":{"a":0,"b":0}}},"version":"8.1.2"}')

    assert (old.concurrency, old.queues, old.version) == (10, ("a",), "")
    assert both.queues == ("a", "pdf")
    assert (new.concurrency, new.queues, new.capsules[0].mode) == (5, ("a", "b"), "strict")


@given(st.binary(max_size=60))
def test_no_bytes_crash_the_readers(raw: bytes) -> None:
    for read in (heartbeat.read_info, lambda one: heartbeat.read_work("t", one)):
        with suppress(ValueError):
            read(raw)


def test_work_in_flight_of_both_shapes() -> None:
    job = payload.new("A", [1], "j", 1.5, {})
    text = heartbeat.WorkEntry("t", "q", job.encode(), 7.0)

    assert heartbeat.read_work("t", text.encode()) == text
    old = codec.encode({"queue": "q", "payload": job.fields, "run_at": 7})
    assert heartbeat.read_work("t", old).job.fields == job.fields


@pytest.mark.parametrize(
    ("identity", "parts"),
    [
        ("vm:8412:f9566fe15d9a", ("vm", 8412)),
        ("fe80::1:8412:f9566fe15d9a", ("fe80::1", 8412)),
        ("nonsense", ("nonsense", None)),
        ("a:b:c", ("a:b:c", None)),
    ],
)
def test_an_identity_is_split_from_the_right(identity: str, parts: tuple[str, int | None]) -> None:
    assert heartbeat.split_identity(identity) == parts


@pytest.mark.parametrize(("namespace", "prefix"), [(None, ""), ("", ""), ("shop", "shop:"), ("a:b", "a:b:")])
def test_keys_with_and_without_a_namespace(namespace: str | None, prefix: str) -> None:
    keys = Keys(namespace)

    assert (keys.queues, keys.queue("a")) == (f"{prefix}queues", f"{prefix}queue:a")
    assert (keys.work("i"), keys.workers("i"), keys.process("i")) == (
        f"{prefix}i:work",
        f"{prefix}i:workers",
        f"{prefix}i",
    )
    assert keys.stat("failed", "2026-01-02") == f"{prefix}stat:failed:2026-01-02"


def test_back_off_is_sidekiq_s() -> None:
    assert [backoff.delay(count, 0) for count in (0, 1, 2, 24)] == [15, 16, 31, 331791]
    assert backoff.delay(0, 0.999) == 24
    assert [backoff.limit(one) for one in (True, None, 3, 0, False)] == [25, 25, 3, 0, None]


@pytest.mark.parametrize(
    ("info", "weights"),
    [
        (b'{"queues":["a","b"]}', ()),
        (b'{"weights":[{"a":0,"b":0}]}', ((("a", 0), ("b", 0)),)),
        (b'{"weights":[{"a":2,"b":1}]}', ((("a", 2), ("b", 1)),)),
        (b'{"weights":{"a":0}}', ()),
        (b'{"weights":[{"a":1}],"capsules":{"x":{"concurrency":1,"weights":{"b":0,"a":0}}}}', ((("b", 0), ("a", 0)),)),
    ],
)
def test_in_which_order_queues_are_taken(info: bytes, weights: tuple[tuple[tuple[str, int], ...], ...]) -> None:
    assert heartbeat.read_info(info).told_weights == weights


RACE = """
import sys
from threading import Barrier, Thread
import msgspec
from kiqdoctor.wire.codec import typed

sys.setswitchinterval(1e-6)
start = Barrier(4)

def ask(kind):
    start.wait()
    typed([{"name": "x", "frames": [{"line": 3}]}], list[kind])

for _ in range(100):
    frame = msgspec.defstruct("Frame", [("function", str, ""), ("line", int, 0)])
    fields = [("name", str | None, None), ("frames", list[frame], []), ("more", dict[str, frame] | None, None)]
    kind = msgspec.defstruct("Kind", fields)
    threads = [Thread(target=ask, args=(kind,)) for _ in range(4)]
    [one.start() for one in threads]
    [one.join() for one in threads]
"""


def test_threads_that_first_need_a_type_together_do_not_kill_the_process() -> None:
    ran = subprocess.run([sys.executable, "-c", RACE], capture_output=True, text=True, check=False)

    assert ran.returncode == 0, (ran.returncode, ran.stderr)
