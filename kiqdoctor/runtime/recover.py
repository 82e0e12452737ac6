"""The jobs of the dead: private lists whose process holds no lease go back to their queues."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import log, lua
from kiqdoctor.runtime.fetch import DEAD_AGE, DEAD_SIZE
from kiqdoctor.wire import codec
from kiqdoctor.wire.keys import Keys
from kiqdoctor.wire.payload import PayloadError, read

if TYPE_CHECKING:
    from redis import Redis

LEASE = 15  # seconds
RENEW = 5.0  # seconds
SCAN = 3.0  # seconds
POISON = 3  # deaths with the same job in flight


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a process sits: enough for a neighbour to see that it is gone."""

    boot: str
    namespace: str
    pid: int
    started: str

    @classmethod
    def here(cls) -> "Seat":
        """Ours."""
        return cls(
            _text("/proc/sys/kernel/random/boot_id"), _link("/proc/self/ns/pid"), os.getpid(), _started(os.getpid())
        )

    def gone(self, other: "Seat") -> bool:
        """Whether the other sits on this host and has ended."""
        if not self.boot or (self.boot, self.namespace) != (other.boot, other.namespace):
            return False
        return _started(other.pid) != other.started


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""


def _started(pid: int) -> str:
    cells = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return cells[19] if len(cells) > 19 and cells[0] != "Z" else ""  # noqa: PLR2004 - the start's place in the line


class Lease:
    """Our right to hold jobs: renewed by a plain EXPIRE, which a full Redis still takes."""

    def __init__(
        self, client: "Redis", keys: Keys, identity: str, queues: tuple[str, ...], clock: Clock = SYSTEM
    ) -> None:
        self._client, self._keys, self._clock = client, keys, clock
        self.identity = identity
        self._entry = codec.encode({"queues": list(queues), "seat": _fields(Seat.here())})
        self.since = clock.monotonic()

    def acquire(self) -> None:
        """Lease and index together, before the first fetch."""
        with self._client.pipeline(transaction=True) as pipe:
            pipe.set(self._keys.lease(self.identity), "1", ex=LEASE)
            pipe.hset(self._keys.index, self.identity, self._entry)
            pipe.execute()
        self.since = self._clock.monotonic()

    def renew(self) -> bool:
        """Whether it was still ours."""
        return bool(self._client.expire(self._keys.lease(self.identity), LEASE))

    def release(self) -> None:
        """We hold nothing any more."""
        self._client.delete(self._keys.lease(self.identity))
        self._client.hdel(self._keys.index, self.identity)


def _fields(seat: Seat) -> dict[str, Any]:
    return {"boot": seat.boot, "namespace": seat.namespace, "pid": seat.pid, "started": seat.started}


class Recovery:
    """One thread of each process looks for the dead, one process of the fleet at a time."""

    def __init__(self, client: "Redis", keys: Keys, lease: Callable[[], Lease], stop: threading.Event,
                 clock: Clock = SYSTEM) -> None:  # fmt: skip
        self._client, self._keys, self._lease, self._stop, self._clock = client, keys, lease, stop, clock
        self._leave = client.register_script(lua.source("leave"))
        self._forget = client.register_script(lua.source("forget"))
        self._here = Seat.here()
        self.recovered = 0
        self.thread = threading.Thread(target=self.run, daemon=True, name="kiq.recovery")

    def run(self) -> None:
        """Look every few seconds until stopped."""
        while not self._stop.wait(SCAN):
            try:
                self.scan()
            except Exception as error:  # noqa: BLE001 - Redis may be away; the next round tries again
                log.warn(f"recovery: {type(error).__name__}: {error}")

    def scan(self) -> int:
        """Give back the jobs of every process that is proven dead; how many."""
        if not self._client.set(self._keys.name("kiq:recovering"), self._lease().identity, nx=True, ex=5):
            return 0
        count = 0
        index: Any = self._client.hgetall(self._keys.index)
        for raw_identity, entry in index.items():
            identity = raw_identity.decode("utf-8", "replace")
            if identity != self._lease().identity and self._dead(identity, entry):
                count += self._give_back(identity, entry)
        self.recovered += count
        return count

    def _dead(self, identity: str, entry: bytes) -> bool:
        """Its lease ran out while we renewed ours for a whole lease, or it sat here and is gone."""
        if self._here.gone(_seat(entry)):
            self._client.delete(self._keys.lease(identity))
            return True
        sure = self._clock.monotonic() - self._lease().since > LEASE
        return sure and not self._client.exists(self._keys.lease(identity))

    def _give_back(self, identity: str, entry: bytes) -> int:
        queues = _queues(entry)
        count = sum(self._queue(identity, queue) for queue in queues)
        lists = [self._keys.private(identity, queue) for queue in queues]
        self._forget(keys=[self._keys.lease(identity), self._keys.index, *lists], args=[identity])
        if count:
            log.warn(f"recovered {count} jobs of {identity}, which is dead")
        return count

    def _queue(self, identity: str, queue: str) -> int:
        private = self._keys.private(identity, queue)
        raws: Any = self._client.lrange(private, 0, -1)
        return sum(self._job(private, queue, raw) for raw in raws)

    def _job(self, private: str, queue: str, raw: bytes) -> int:
        now = self._clock.now()
        try:
            payload = read(raw)
        except PayloadError:
            return self._moved([private, self._keys.dead], [raw, raw, "zset", repr(now), now - DEAD_AGE, DEAD_SIZE])
        before = payload.fields.get("recovered")
        deaths = (before if isinstance(before, int) else 0) + 1
        if deaths >= POISON:
            said = f"in flight when {deaths} processes died"
            buried = payload.with_(recovered=deaths, error_class="kiqdoctor.Poison", error_message=said).encode()
            return self._moved([private, self._keys.dead], [raw, buried, "zset", repr(now), now - DEAD_AGE, DEAD_SIZE])
        again = payload.with_(recovered=deaths).encode()
        return self._moved([private, self._keys.queue(queue)], [raw, again, "list", 0, "", 0])

    def _moved(self, keys: list[str], args: list[Any]) -> int:
        return int(self._leave(keys=keys, args=args))


def _seat(entry: bytes) -> Seat:
    try:
        found = codec.decode(entry)["seat"]
        return Seat(str(found["boot"]), str(found["namespace"]), int(found["pid"]), str(found["started"]))
    except (codec.NotJsonError, KeyError, TypeError, ValueError):
        return Seat("", "", 0, "")


def _queues(entry: bytes) -> list[str]:
    try:
        return [str(name) for name in codec.decode(entry)["queues"]]
    except (codec.NotJsonError, KeyError, TypeError):
        return []
