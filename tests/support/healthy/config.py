"""Configuration in which nothing is wrong: one file, one command, which is given time to end."""

from kiqdoctor.doctor.facts.config import (
    Autoscalers,
    QueueLine,
    RedisAddresses,
    RedisFiles,
    RedisService,
    Scaler,
    Scope,
    ScriptLine,
    Scripts,
    Setting,
    Stop,
    Stops,
    TestModes,
    Variables,
    WorkerCommand,
    WorkerFile,
    WorkerSettings,
)

FILE = WorkerFile(
    "config/sidekiq.yml",
    (Setting("concurrency", 1, "number", "5"), Setting("queues", 2, "list", "2")),
    (QueueLine("default", None, 2), QueueLine("mail", 2, 2)),
)
COMMAND = WorkerCommand("Procfile", 1, "sidekiq", (("concurrency", "5"),), ("-c", "5"))
STOP = Stop("k8s/worker.yaml", 9, "sidekiq", "kubernetes", 25.0, "config/sidekiq.yml", 60.0, "k8s/worker.yaml", 12)
SCOPE = Scope(".env", "", ("CLOUD_URL", "REDIS_URL"), 2, provider="CLOUD_URL", closed=True)
SCALER = Scaler("k8s/scaler.yaml", 6, "worker", 1, ("queue:default",), kind="ScaledObject")
REDIS = RedisService("compose.yml", 4, "redis", "compose")
SCRIPT = ScriptLine("db/seeds.rb", 3, "flushdb", "seed", ("Rails.env.test?",))
FACTS = (
    WorkerSettings((FILE,), (COMMAND,)),
    Stops((STOP,)),
    TestModes(files=3),
    Variables((SCOPE,), 1),
    Autoscalers((SCALER,)),
    RedisFiles((REDIS,), files=2),
    RedisAddresses(files=3),
    Scripts((SCRIPT,), 4),
)
