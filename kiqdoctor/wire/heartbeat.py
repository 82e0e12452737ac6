"""A process as its hash and its in-flight hash show it, for Sidekiq 5 to 8 and for our own runtime."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from kiqdoctor.records import dataclass
from kiqdoctor.wire import codec
from kiqdoctor.wire.numbers import whole
from kiqdoctor.wire.payload import Payload, PayloadError
from kiqdoctor.wire.payload import read as read_payload
from kiqdoctor.wire.stamps import plain

RUNTIME: Final = "kiqdoctor"  # info.runtime of our processes
RELIABLE: Final = "reliable"  # a label: it fetches by private lists, so that a kill loses nothing
SIZE_LIMIT: Final = 64 * 1024  # bytes of an ``info`` that anybody honest writes

MOST_PID: Final = 2**31 - 1  # a pid, and any number of threads or weights

INFO: Final = "info"  # the fields of a process's record
BUSY: Final = "busy"
BEAT: Final = "beat"
QUIET: Final = "quiet"
CONCURRENCY: Final = "concurrency"
RSS: Final = "rss"  # kB
RTT_US: Final = "rtt_us"
PREFETCHED: Final = "prefetched"  # ours: jobs taken from their queues and not started

DEPLOY: Final = "deploy"  # the fields of what our runtime tells beside it: the running revision
CONFIG: Final = "config"  # a digest, as the next three
NAMESPACE: Final = "namespace"
PACKAGES: Final = "packages"
NATIVES: Final = "natives"
POOLS: Final = "pools"  # JSON: connections that it may open, by what opens them
THREADS: Final = "threads"  # JSON: how many, by what they do
RECOVERED: Final = "recovered"  # jobs that it took back from dead processes
PERIODIC: Final = "periodic"  # JSON: names of the periodic jobs that it pushes; not there where they are too many
SUPERVISOR: Final = "supervisor"  # JSON: its parent's pid, its siblings', restarts, who is stuck, the last crashes

Value = bytes | None


@dataclass(frozen=True, slots=True)
class CapsuleEntry:
    """Queues with threads of their own; weight 0 everywhere = strict order."""

    name: str
    concurrency: int
    weights: tuple[tuple[str, int], ...] = ()

    @property
    def mode(self) -> str:
        """``strict``, ``random`` or ``weighted``, as Sidekiq 8 names them."""
        weights = {weight for _, weight in self.weights}
        return "strict" if weights <= {0} else "random" if weights == {1} else "weighted"


@dataclass(frozen=True, slots=True)
class Info:
    """The hash's ``info``. ``concurrency`` and ``queues`` are None where it does not say; ``rest`` is kept.

    ``runtime`` names our own; ``connections``: how many to Redis it may open, as our own says.
    """

    identity: str = ""
    hostname: str = ""
    pid: int | None = None
    tag: str = ""
    started_at: float | None = None
    concurrency: int | None = None
    queues: tuple[str, ...] | None = None
    labels: tuple[str, ...] = ()
    version: str = ""
    embedded: bool = False
    runtime: str = ""
    capsules: tuple[CapsuleEntry, ...] = ()
    connections: int | None = None
    rest: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[tuple[tuple[str, int], ...], ...] = field(default=(), compare=False)  # of each capsule, as 7.0.3 on

    @property
    def told_weights(self) -> tuple[tuple[tuple[str, int], ...], ...]:
        """Of each capsule's queues, in their order; before 7.0.3 nobody says it."""
        told = [one.weights for one in self.capsules] or list(self.weights)
        return tuple(one for one in told if one)

    def encode(self) -> bytes:
        """As every version's reader wants it: ``weights`` and ``capsules`` beside ``queues``."""
        known: dict[str, Any] = {
            "hostname": self.hostname,
            "started_at": self.started_at,
            "pid": self.pid,
            "tag": self.tag,
            "concurrency": self.concurrency,
            "queues": list(self.queues or ()),
            "weights": [dict(capsule.weights) for capsule in self.capsules],
            "labels": list(self.labels),
            "identity": self.identity,
            "version": self.version,
            "embedded": self.embedded,
            "capsules": {
                one.name: {"concurrency": one.concurrency, "mode": one.mode, "weights": dict(one.weights)}
                for one in self.capsules
            },
            "runtime": self.runtime,
        }
        if self.connections is not None:
            known["connections"] = self.connections
        return codec.encode({**self.rest, **known})


_KNOWN: Final = frozenset(
    (
        *("hostname", "started_at", "pid", "tag", "concurrency", "queues", "weights", "labels", "identity"),
        *("version", "embedded", "capsules", "runtime", "connections"),
    )
)


def read_info(raw: bytes) -> Info:
    """An ``info`` of any version.

    Raises:
        ValueError: not JSON, not an object, or larger than any honest one.
    """
    if len(raw) > SIZE_LIMIT:
        raise ValueError(f"info holds {len(raw)} bytes")
    found = codec.decode(raw)
    if not isinstance(found, dict):
        raise ValueError("info is not a JSON object")
    capsules = _capsules(found)
    queues = found.get("queues")
    listed = _texts(queues) if isinstance(queues, list) else ()
    told = isinstance(queues, list) or bool(capsules)  # 8.0.9 and later say both; who reads one only misses some
    names = tuple(dict.fromkeys((*listed, *_queues_of(capsules)))) if told else None
    concurrency = _integer(found.get("concurrency"))
    if concurrency is None and capsules:
        concurrency = sum(one.concurrency for one in capsules)
    return Info(
        identity=_text(found.get("identity")),
        hostname=_text(found.get("hostname")),
        pid=_integer(found.get("pid")),
        tag=_text(found.get("tag")),
        started_at=plain(found.get("started_at")),
        concurrency=concurrency,
        queues=names,
        labels=_texts(found.get("labels")),
        version=_text(found.get("version")),
        embedded=found.get("embedded") is True,
        runtime=_text(found.get("runtime")),
        capsules=capsules,
        connections=_integer(found.get("connections")),
        rest={key: value for key, value in found.items() if key not in _KNOWN},
        weights=tuple(map(_weights, weights)) if isinstance(weights := found.get("weights"), list) else (),
    )


def _capsules(found: Mapping[str, Any]) -> tuple[CapsuleEntry, ...]:
    capsules = found.get("capsules")
    if not isinstance(capsules, dict):
        return ()
    return tuple(
        CapsuleEntry(name, _integer(one.get("concurrency")) or 0, _weights(one.get("weights")))
        for name, one in capsules.items()
        if isinstance(one, dict)
    )


def _weights(value: Any) -> tuple[tuple[str, int], ...]:
    return tuple((name, _integer(weight) or 0) for name, weight in value.items()) if isinstance(value, dict) else ()


def _queues_of(capsules: tuple[CapsuleEntry, ...]) -> list[str]:
    return list(dict.fromkeys(name for capsule in capsules for name, _ in capsule.weights))


@dataclass(frozen=True, slots=True)
class WorkEntry:
    """One job in flight: the thread that runs it, its bare queue, its payload's bytes, since when (epoch seconds)."""

    thread: str
    queue: str
    payload: bytes
    run_at: float | None

    def encode(self) -> bytes:
        """The hash's value as readers from 6.0.2 on want it: the payload is a string within the JSON."""
        text = self.payload.decode("utf-8", "replace")
        return codec.encode({"queue": self.queue, "payload": text, "run_at": int(self.run_at or 0)})

    @property
    def job(self) -> Payload:
        """Its payload; empty fields where it cannot be read."""
        try:
            return read_payload(self.payload)
        except PayloadError:
            return Payload({}, self.payload)


def read_work(thread: str, raw: bytes) -> WorkEntry:
    """One value of ``<identity>:work`` or ``:workers``; the payload is an object up to 6.0.1, a string after.

    Raises:
        ValueError: not JSON or not an object.
    """
    found = codec.decode(raw)
    if not isinstance(found, dict):
        raise ValueError("the work entry is not a JSON object")
    inner = found.get("payload")
    raw_payload = inner.encode("utf-8", "replace") if isinstance(inner, str) else codec.encode(inner)
    return WorkEntry(thread, _text(found.get("queue")), raw_payload, plain(found.get("run_at")))


def split_identity(identity: str) -> tuple[str, int | None]:
    """Host name and pid of ``host:pid:nonce``, split from the right: host names may hold colons."""
    host, _, rest = identity.rpartition(":")
    host, _, pid = host.rpartition(":")
    number = whole(pid, most=MOST_PID)
    return (host, number) if rest and host and number is not None else (identity, None)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for item in value if isinstance(item, str))) if isinstance(value, list) else ()


def _integer(value: Any) -> int | None:
    return None if isinstance(value, str) else whole(value, most=MOST_PID)
