"""A job is enqueued, or Redis is asked, while the application is loaded and before its server forks.

## Why it hurts
The connection that the parent opened is inherited by every child: two processes read each other's replies, or the
client raises. And what runs at each load runs at each deploy, in each console and each migration: the
job is enqueued again.

In the log: `Redis::InheritedError`, `Tried to use a connection from a child process without reconnecting`.

## How it is found
Formula: high if what a file does when it is loaded (up to three calls away), `AppConfig.ready` or a Rails initializer
enqueues a job or calls Redis or the database, and files prove that a server forks afterwards (gunicorn's preload_app,
uWSGI without lazy-apps, Puma's or Unicorn's preload_app, Celery's prefork pool); low where nobody seems to load the
file, and where Redis is only asked, by a client that is locked in a version that leaves an inherited connection alone
(redis-client from 0.15, and Ruby's redis from 5 on, which stands on it; redis-py's pool from 3.5 on); info where no
file tells how the application is served

Nothing is said of `if __name__ == "__main__"`, scripts and migrations, hooks after a fork, blocks of
`configure_server` and its like, blocks that a method on the way is handed for later (`subscribe`), and conditions that
choose a process. A client that is only built has asked nothing.

## When it is wrong
A file that the server never loads.

## Confirm by hand
The line, and the server's setting that the evidence names.

## How to fix
Move it into the hook that runs after the fork (`post_fork`, `on_worker_boot`, `postfork`), or into a periodic job.

Risk: it then runs once in each child.

Undo: the line in its old place.

## Unknown when
Nothing was found and files could not be parsed.

## Source
Sidekiq's wiki, Problems and Troubleshooting (since 2.9.0 no Redis before the fork); sidekiq-limit_fetch issue 3;
Sidekiq issue 5535; redis-client 0.15 ("Discard inherited connections on fork"); gunicorn, `preload_app`; uWSGI,
"Things to know".
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Location, Missing, Severity, Verdict, check, covers
from kiqdoctor.doctor.facts.code import AtBoot, Booted, Code, Execution
from kiqdoctor.doctor.facts.deployment import Deployment, Starts
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.rules import forked, served, settled, through

WEB = ("wsgi.py", "asgi.py", "config.ru")
"""Files that a web server loads, and no worker."""
CACHED = ("redis", "Redis", "django")
"""What built the clients that this rule speaks of; engines and databases' connections are DBC002's."""

NOTICES = {"redis-client": ">=0.15", "redis": ">=5", "redis-py": ">=3.5"}
POOLED = ("redis.", "django_redis.")
"""What builds a client of redis-py's on a pool, which knows in which process it was filled."""


@check("COD011", severity=Severity.HIGH)
def enqueue_at_boot(
    code: Code,
    boot: AtBoot,
    execution: Execution,
    starts: Starts,
    deployment: Deployment | Missing,
    packages: Packages | Missing,
) -> Iterator[Verdict]:
    told: dict[tuple[int, str], Finding] = {}
    for site in boot.sites:
        language = code.language(site)
        web = code.place(site).path.rpartition("/")[2] in WEB
        proof = forked(language, Execution() if web else execution, starts)
        server = served(language, deployment)
        if not (site.job or site.made_by.startswith(CACHED)):
            continue
        if proof is None and server is not None:
            yield Evidence(f"{site.name} at load", f"{server.value} loads it in each child", server.source)
            continue
        notices = _notices(site, language, packages) if isinstance(packages, Packages) else None
        told.setdefault((site.function, site.name), _finding(code, site, proof, notices))
    yield from told.values()
    yield from settled(code, boot, found=bool(told))


def _notices(site: Booted, language: str, packages: Packages) -> Evidence | None:
    """What proves that a child of a fork opens a connection of its own; a job is enqueued at each load all the same."""
    if language == "python":
        version = packages.version_of("python", "redis")
        known = not site.job and site.made_by.startswith(POOLED) and covers(NOTICES["redis-py"], version) is True
        return (
            Evidence("leaves an inherited connection alone", f"redis-py {version}", "the lock file") if known else None
        )
    gem = "redis" if site.made_by.startswith("Redis") and not site.name.startswith("Sidekiq") else "redis-client"
    version = packages.version_of("ruby", gem)
    if site.job or covers(NOTICES[gem], version) is not True:
        return None
    return Evidence("leaves an inherited connection alone", f"{gem} {version}", "the lock file")


def _finding(code: Code, site: Booted, proof: Evidence | None, notices: Evidence | None) -> Finding:
    place = code.place(site)
    harmless = notices is not None or not site.loaded
    severity = Severity.INFO if proof is None else Severity.LOW if harmless else Severity.HIGH
    what = f"{site.job} is enqueued" if site.job else f"{site.name} is called"
    where = Evidence("runs when it is loaded", code.functions[site.function].name, f"{place.path}:{place.line}")
    return Finding(
        f"file:{place.path}",
        f"{what} while the application is loaded" + (", before its server forks" if proof else ""),
        "Move it into a hook that runs after the fork (post_fork, on_worker_boot), or into a periodic job.",
        (*through(code, site.through), where, *(one for one in (proof, notices) if one is not None)),
        severity,
        location=Location(place.path, place.line, place.column),
        key=site.name,
    )
