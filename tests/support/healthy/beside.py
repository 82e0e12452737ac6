"""What lies beside healthy jobs: a lock of a job that waits, a batch that is under way, a periodic job that ran."""

from healthy.moment import NOW
from kiqdoctor.doctor.facts.beside import Batch, Batches, Lock, Locks, PeriodicJob, PeriodicJobs, Sightings

JID = "a" * 24
LOCK = Lock("uniquejobs:1234:LOCKED", "sidekiq-unique-jobs", JID, since=NOW - 900)
BATCH = Batch("kiq:batch:0123456789abcdef", "kiqdoctor", NOW - 900, 1, ("success",), (JID,))
HOURLY = PeriodicJob("report", "sidekiq-cron", "0 * * * *", "Europe/Berlin", last=NOW - NOW % 3600 + 20)
FACTS = (Locks((LOCK,)), Batches((BATCH,), 1), Sightings(1, looked_at=1), PeriodicJobs((HOURLY,)))
