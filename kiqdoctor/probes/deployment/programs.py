"""Programs that run jobs or serve the web, and the options of their command lines that say how many and what."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Final

from kiqdoctor.records import dataclass


class Role(StrEnum):
    """What a program is there for."""

    WORKER = "worker"
    WEB = "web"


@dataclass(frozen=True, slots=True)
class Program:
    """``valued``: options that take a value, by the name we give it; ``flags``: those that take none.

    ``starts``: the next word has to be one of these, where the program does other things too.
    """

    name: str
    role: Role
    valued: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)
    starts: frozenset[str] = field(default_factory=frozenset)


def _spelt(**names: str) -> Mapping[str, str]:
    """``concurrency="-c --concurrency"`` as option -> name."""
    return {option: name for name, options in names.items() for option in options.split()}


_SIDEKIQ: Final = _spelt(
    concurrency="-c --concurrency",
    queue="-q --queue",
    config="-C --config",
    environment="-e --environment",
    timeout="-t --timeout",
    require="-r --require",
    tag="-g --tag",
    other="-i --index -P --pidfile -L --logfile",
)
_PUMA: Final = _spelt(
    workers="-w --workers",
    threads="-t --threads",
    config="-C --config",
    environment="-e --environment",
    other="-p --port -b --bind -I --include --tag --dir -S --state --control-url --control-token --log-requests",
)
_GUNICORN: Final = _spelt(
    workers="-w --workers",
    threads="--threads",
    kind="-k --worker-class",
    connections="--worker-connections",
    config="-c --config",
    other="-b --bind -t --timeout -e --env -n --name -u --user -g --group -m --umask -p --pid --chdir --log-level"
    " --access-logfile --error-logfile --log-file --log-config --max-requests --max-requests-jitter"
    " --graceful-timeout --keep-alive --worker-tmp-dir --forwarded-allow-ips --backlog --statsd-host",
)
_CELERY: Final = _spelt(
    concurrency="-c --concurrency",
    pool="-P --pool",
    queue="-Q --queues",
    other="-A --app -l --loglevel -n --hostname -b --broker -f --logfile --pidfile --workdir -O --statedb",
)
_RQ: Final = _spelt(
    kind="-w --worker-class",
    concurrency="-n --num-workers",
    other="-u --url -c --config -P --path -j --job-class --queue-class --connection-class -S --serializer --name"
    " --logging-level --results-ttl --worker-ttl --pid --sentry-dsn --sentry-ca-certs --max-jobs --max-idle-time",
)
_HUEY: Final = _spelt(
    kind="-k --worker-type",
    concurrency="-w --workers",
    other="-l --logfile -d --delay -m --max-delay -b --backoff -c --health-check-interval -s --scheduler-interval"
    " -S --simple --queue",
)
_DRAMATIQ: Final = _spelt(
    processes="-p --processes",
    concurrency="-t --threads",
    queue="-Q --queues",
    other="-P --path --worker-shutdown-timeout --log-file --pid-file --fork-function -f --skip-logging",
)

EVERY: Final = (
    Program("sidekiq", Role.WORKER, _SIDEKIQ),
    Program("sidekiqswarm", Role.WORKER, _SIDEKIQ),
    Program(
        "kiqdoctor",
        Role.WORKER,
        _spelt(
            concurrency="-c --concurrency",
            queue="-q --queue",
            timeout="-t --timeout",
            environment="-e --environment",
            fetch="--fetch",
            other="--redis --namespace --health --log-format --tag --config",
        ),
        starts=frozenset({"work"}),
    ),
    Program("celery", Role.WORKER, _CELERY),
    Program("rq", Role.WORKER, _RQ, starts=frozenset({"worker", "worker-pool"})),
    Program("rqworker", Role.WORKER, _RQ),
    Program("rqworker-pool", Role.WORKER, _RQ),
    Program("dramatiq", Role.WORKER, _DRAMATIQ),
    Program("dramatiq-gevent", Role.WORKER, _DRAMATIQ),
    Program("rundramatiq", Role.WORKER, _DRAMATIQ),
    Program("huey_consumer", Role.WORKER, _HUEY),
    Program("huey_consumer.py", Role.WORKER, _HUEY),
    Program("run_huey", Role.WORKER, _HUEY),
    Program("djangohuey", Role.WORKER, _HUEY),
    Program("arq", Role.WORKER),
    Program("saq", Role.WORKER, _spelt(concurrency="--workers")),
    Program("taskiq", Role.WORKER, _spelt(processes="-w --workers", other="--log-level"), starts=frozenset({"worker"})),
    Program("qcluster", Role.WORKER),
    Program("good_job", Role.WORKER, starts=frozenset({"start"})),
    Program("delayed_job", Role.WORKER, starts=frozenset({"start", "run", "restart"})),
    Program("puma", Role.WEB, _PUMA, _spelt(preload="--preload")),
    Program("unicorn", Role.WEB, _spelt(config="-c --config-file", other="-E --env -o --host -p --port -l --listen")),
    Program("gunicorn", Role.WEB, _GUNICORN, _spelt(preload="--preload")),
    Program(
        "uwsgi",
        Role.WEB,
        _spelt(config="--ini", workers="-p --processes --workers", threads="--threads", other="--http --socket -s -w"),
        _spelt(own_threads="--enable-threads -T", lazy="--lazy-apps --lazy"),
    ),
    Program("rails", Role.WEB, _PUMA, starts=frozenset({"server", "s"})),
)
BY_NAME: Final[Mapping[str, Program]] = {one.name: one for one in EVERY} | {
    alias: one
    for alias, name in (("unicorn_rails", "unicorn"), ("gunicorn.app.wsgiapp", "gunicorn"))
    for one in EVERY
    if one.name == name
}
WORKERS: Final = tuple(one.name for one in EVERY if one.role is Role.WORKER)
