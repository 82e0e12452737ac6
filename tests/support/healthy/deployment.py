"""A small deployment: one worker, one web server."""

from kiqdoctor.doctor.facts.deployment import Deployment, Schedules, Starts, WebConfig, WorkerConfig

FACTS = (
    Deployment((WorkerConfig("Procfile", processes=1, concurrency=5),), (WebConfig("config/puma.rb", 1, 2, 5),)),
    Starts(),
    Schedules(),
)
