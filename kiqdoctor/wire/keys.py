"""Every key of the wire, with or without a namespace; type, TTL and writer beside each."""

from time import gmtime
from typing import Final

from kiqdoctor.records import dataclass

QUEUES: Final = "queues"
PROCESSES: Final = "processes"
SCHEDULE: Final = "schedule"
RETRY: Final = "retry"
DEAD: Final = "dead"
PROCESSED: Final = "stat:processed"
FAILED: Final = "stat:failed"

RESERVED: Final = {
    QUEUES: "set",
    PROCESSES: "set",
    SCHEDULE: "zset",
    RETRY: "zset",
    DEAD: "zset",
    PROCESSED: "string",
    FAILED: "string",
}
"""Names that Sidekiq owns, and the Redis type that each must have."""

SETS: Final = (SCHEDULE, RETRY, DEAD)
"""Sorted sets of jobs."""

QUEUE_PREFIX: Final = "queue:"
TAKEN: Final = "kiq:taken:"  # ours: what the names of private lists, leases, locks and batches begin with
LEASES: Final = "kiq:lease:"
LOCKS: Final = "kiq:unique:"
BATCHES: Final = "kiq:batch:"
LANES: Final = ("0", "1", "w")  # a process's connections that fetch; each has private lists of its own
DEAD_TTL: Final = 180 * 24 * 3600  # seconds that a dead job is kept, as Sidekiq keeps it
DEAD_SIZE: Final = 10_000  # dead jobs that are kept; Sidekiq's trimming keeps one less
PROCESS_TTL: Final = 60  # seconds
DAY_STAT_TTL: Final = 157_680_000  # seconds: five years
SIGNALS_TTL: Final = 60  # seconds
STATUS_TTL: Final = 24 * 3600  # seconds


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names under one namespace; None or "" for none. Members, payloads and identities are never prefixed."""

    namespace: str | None = None

    def name(self, key: str) -> str:
        """The key as Redis sees it."""
        return f"{self.namespace}:{key}" if self.namespace else key

    @property
    def queues(self) -> str:
        """Set of bare queue names; no TTL; every push."""
        return self.name(QUEUES)

    def queue(self, name: str) -> str:
        """List of payloads, newest at the head; LPUSH by clients, RPUSH by what gives back."""
        return self.name(QUEUE_PREFIX + name)

    @property
    def schedule(self) -> str:
        """Sorted set of payloads by due time in float seconds; clients."""
        return self.name(SCHEDULE)

    @property
    def retry(self) -> str:
        """Sorted set of payloads by the time of the next try; processors."""
        return self.name(RETRY)

    @property
    def dead(self) -> str:
        """Sorted set of payloads by time of death; processors."""
        return self.name(DEAD)

    @property
    def processes(self) -> str:
        """Set of identities; no TTL; heartbeat."""
        return self.name(PROCESSES)

    @property
    def cleanup(self) -> str:
        """String, 60 s, SET NX: whoever has it prunes the ghosts of ``processes``."""
        return self.name("process_cleanup")

    def process(self, identity: str) -> str:
        """Hash of the process's record; 60 s; heartbeat."""
        return self.name(identity)

    def work(self, identity: str) -> str:
        """Hash thread id -> work in flight, from 6.4.2 on; 60 s; heartbeat."""
        return self.name(f"{identity}:work")

    def workers(self, identity: str) -> str:
        """The same up to 6.4.1."""
        return self.name(f"{identity}:workers")

    def signals(self, identity: str) -> str:
        """List of TSTP, TERM, TTIN; 60 s; the web UI pushes, the heartbeat pops."""
        return self.name(f"{identity}-signals")

    def stat(self, name: str, day: str = "") -> str:
        """Counter ``processed`` or ``failed``, in all or of a UTC day (YYYY-MM-DD, five years)."""
        return self.name(f"stat:{name}:{day}" if day else f"stat:{name}")

    def marks(self, day: str) -> str:
        """Hash ISO minute -> label of deploys of a UTC day (YYYYMMDD); 90 days; Sidekiq's deploy API, 6.5.2 on."""
        return self.name(f"{day}-marks")

    def metrics(self, at: float) -> tuple[str, str]:
        """Hash ``class|p``, ``|f``, ``|ms`` of the UTC minute; 8 hours; processes: as 7 names it, and as 8 does."""
        year, month, day, hour, minute, *_ = gmtime(at)
        return (
            self.name(f"j|{year}{month:02d}{day:02d}|{hour}:{minute}"),
            self.name(f"j|{year % 100:02d}{month:02d}{day:02d}|{hour}:{minute:02d}"),
        )

    @property
    def paused(self) -> str:
        """Set of paused queue names; Sidekiq Pro, and ours."""
        return self.name("paused")

    @property
    def super_processes(self) -> str:
        """Set of identities; Sidekiq Pro, of those that fetch reliably."""
        return self.name("super_processes")

    @property
    def leader(self) -> str:
        """String, identity of the leader; Sidekiq Enterprise."""
        return self.name("dear-leader")

    def lease(self, identity: str) -> str:
        """Ours: string, 15 s, renewed by EXPIRE alone; its process is alive while it is there."""
        return self.name(f"{LEASES}{identity}")

    @property
    def index(self) -> str:
        """Ours: hash identity -> its account (``wire/account.py``); no TTL; removed when its lists are empty."""
        return self.name("kiq:index")

    def private(self, identity: str, lane: str, queue: str) -> str:
        """Ours: list of payloads that one connection of a process took from a queue and that have not ended; no TTL."""
        return self.name(f"{TAKEN}{identity}:{lane}:{queue}")

    def sequence(self, identity: str, lane: str) -> str:
        """Ours: string, number of the last request that this connection made; no TTL; goes with the lists."""
        return self.name(f"kiq:sequence:{identity}:{lane}")

    def exits(self, identity: str) -> str:
        """Ours: hash exit -> number of its last use, by which a job left a private list; no TTL; goes with them."""
        return self.name(f"kiq:exits:{identity}")

    def overran(self, identity: str) -> str:
        """Ours: hash SHA-1 of a payload -> seconds that it had, of jobs that it was killed for; 7 days; its parent."""
        return self.name(f"kiq:overran:{identity}")

    def about(self, identity: str) -> str:
        """Ours: hash of what a process tells beyond Sidekiq's record; 60 s; beat."""
        return self.name(f"kiq:about:{identity}")

    def unique(self, fingerprint: str) -> str:
        """Ours: string, jid of the job that holds this lock; TTL ``unique_for``; clients set it, processors end it."""
        return self.name(f"{LOCKS}{fingerprint}")

    def slots(self, job_class: str) -> str:
        """Ours: sorted set of ``identity|number`` by start, of a class with ``limit``; no TTL; processors."""
        return self.name(f"kiq:slots:{job_class}")

    def waiting(self, job_class: str) -> str:
        """Ours: list of payloads of a class with ``limit`` or ``rate`` that wait for room, oldest first; no TTL."""
        return self.name(f"kiq:waiting:{job_class}")

    def turns(self, job_class: str) -> str:
        """Ours: set of jids of a class with ``limit`` or ``rate`` that waited and have room now; 60 s; processors."""
        return self.name(f"kiq:turns:{job_class}")

    @property
    def limited(self) -> str:
        """Ours: hash class whose jobs wait for room -> its limit, rate, period in microseconds; no TTL; processors."""
        return self.name("kiq:limited")

    def rate(self, job_class: str) -> str:
        """Ours: sorted set of starts of a class with ``rate``, in microseconds; TTL its period; processors."""
        return self.name(f"kiq:rate:{job_class}")

    def batch(self, batch: str, part: str = "") -> str:
        """Ours: hash of a batch, and its sets ``open`` and ``pending`` of jids; 30 days; clients and processors."""
        return self.name(f"{BATCHES}{batch}:{part}" if part else f"{BATCHES}{batch}")

    def status(self, jid: str) -> str:
        """Ours: hash of what a job with ``status`` does; one day; clients, processors and who recovers."""
        return self.name(f"kiq:status:{jid}")

    def iteration(self, jid: str) -> str:
        """Sidekiq's own: hash ``ex`` runs, ``c`` cursor as JSON, ``rt`` seconds, ``cancelled``; 30 days; processors."""
        return self.name(f"it-{jid}")

    @property
    def periodic(self) -> str:
        """Ours: hash name of a periodic job -> epoch seconds of the last tick that was pushed; no TTL; pollers."""
        return self.name("kiq:periodic")

    @property
    def recovering(self) -> str:
        """Ours: string, identity of the process that looks for the dead; 5 s."""
        return self.name("kiq:recovering")

    def recovering_here(self, boot: str) -> str:
        """Ours: string, identity of the process that looks for the dead of one machine; 2 s."""
        return self.name(f"kiq:recovering:{boot}")

    @property
    def recoveries(self) -> str:
        """Ours: list of the last recoveries, newest first; 100, 7 days; who recovers."""
        return self.name("kiq:recoveries")

    @property
    def recovered(self) -> str:
        """Ours: counter of jobs that were taken back from dead processes; no TTL."""
        return self.name("kiq:recovered")

    def cleared(self, name: str, token: str) -> str:
        """Ours: list, a queue that somebody cleared; one hour; ``top``, which can put it back until then."""
        return self.name(f"kiq:cleared:{name}:{token}")

    def fixed(self, token: str) -> str:
        """Ours: hash number of a change -> which of its edits were made; 30 days; ``fix``, which takes them back."""
        return self.name(f"kiq:fix:{token}")

    def ask(self, identity: str) -> str:
        """Ours: list of tokens, each a wish for a thread dump of this process; 60 s; who asks pushes, a beat pops."""
        return self.name(f"kiq:ask:{identity}")

    def answer(self, token: str) -> str:
        """Ours: string, a thread dump as JSON (``kiqdoctor.dump/1``); 60 s; the process that was asked."""
        return self.name(f"kiq:answer:{token}")
