"""A healthy installation as facts: the twin that every fault's test changes by one fact."""

from kiqdoctor.doctor.facts.application import Deployment, RedisSetting, RedisSettings, WebConfig, WorkerConfig
from kiqdoctor.doctor.facts.native import NativeCode
from kiqdoctor.doctor.facts.packages import Advisories, Package, Packages
from kiqdoctor.doctor.facts.processes import Fleet, LocalProcess, LocalProcesses, Process, Recoveries
from kiqdoctor.doctor.facts.queues import Databases, Installation, JobSet, Keyspace, Queue, Queues, Sample
from kiqdoctor.doctor.facts.redis import Client, ClientLimit, Clients, Connection, Server, ServerTime
from kiqdoctor.doctor.facts.source import Source
from kiqdoctor.doctor.facts.suppressions import Fate, Suppressed, Suppressions
from kiqdoctor.doctor.snapshot import Snapshot

NOW = 1_795_500_000.0
WORKER = Process(
    identity="web-1:4711:aabbccddeeff",
    hostname="web-1",
    pid=4711,
    version="7.3.9",
    started_at=NOW - 3600,
    beat=NOW - 3,
    busy=0,
    concurrency=5,
    queues=("default",),
    ttl_s=57,
    beat_age_s=3.0,
)
SAMPLE = Sample(("args", "class", "enqueued_at", "jid", "queue", "retry"), "SendMail", "a" * 24, NOW - 1)
QUEUE = Queue("default", 1, oldest_at=NOW - 1, sample=(SAMPLE,))
INSTALLATION = Installation(
    prefix="",
    queues=(("default", 1),),
    waiting=1,
    processes=1,
    live=1,
    job_classes=("SendMail",),
    threads=5,
    identities=("web-1:4711:aabbccddeeff",),
    process_queues=("default",),
    processed=True,
)
LOCAL = LocalProcess(
    pid=4711,
    kind="sidekiq",
    title="sidekiq 7.3.9 shop [0 of 5 busy]",
    version="7.3.9",
    tag="shop",
    busy=0,
    concurrency=5,
    state="S",
    ppid=1,
    parent="systemd",
    started_at=NOW - 3610,
    uid=1000,
    namespace_pids=(4711,),
    cwd="/srv/shop/releases/2",
    release="/srv/shop/releases/2",
    current_release="/srv/shop/releases/2",
    sockets=(("10.0.0.1:5000", "10.0.0.2:6379"),),
)
SETTING = RedisSetting("server", "config/initializers/sidekiq.rb", 1, url="ENV[REDIS_URL]")
SUPPRESSED = Suppressed(
    check="RED003",
    names="RED003:redis",
    reason="the plan grows next month",
    owner="team-queues",
    expires="2027-01-31",
    days_left=60.0,
    fate=Fate.HOLDS,
    matched=1,
    source="kiqdoctor.toml:3",
)
HEALTHY = Snapshot.of(
    Connection("redis://redis-1:6379/0"),
    Server({"maxclients": "100", "connected_clients": "9", "rejected_connections": "0", "redis_version": "7.2.4"}),
    ClientLimit(100, "INFO clients"),
    Clients((Client(7, "10.0.0.1:5000", flags="b", command="brpop"),)),
    ServerTime(NOW, NOW),
    Fleet((WORKER,), 1),
    Recoveries(),
    Queues((QUEUE,), (JobSet("schedule", 0), JobSet("retry", 0), JobSet("dead", 0)), traces=("queues", "processes")),
    Keyspace((INSTALLATION,), scanned=9, total=9),
    Databases(),
    LocalProcesses(
        "web-1",
        (LOCAL,),
        pids=frozenset({1, 4711}),
        start_times={1: NOW - 9999, 4711: NOW - 3610},
        addresses=("10.0.0.1",),
    ),
    RedisSettings(
        (SETTING, RedisSetting("client", "config/initializers/sidekiq.rb", 5, url="ENV[REDIS_URL]")),
    ),
    Deployment((WorkerConfig("Procfile", processes=1, concurrency=5),), (WebConfig("config/puma.rb", 1, 2, 5),)),
    Packages((Package("ruby", "sidekiq", "7.3.9", "Gemfile.lock"),), sources=("Gemfile.lock",)),
    Advisories(),
    Source(files=1),
    NativeCode(environments=("Gemfile.lock",)),
    Suppressions((SUPPRESSED,)),
)
