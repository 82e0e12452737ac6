"""A job is enqueued, or Redis is asked, while the application is loaded and before its server forks.

## Why it hurts
The connection that the parent opened is inherited by every child: two processes read each other's replies, or the
client raises. And what runs at each load runs at each deploy, in each console and each migration: the
job is enqueued again.

In the log: `Redis::InheritedError`, `Tried to use a connection from a child process without reconnecting`.

## How it is found
Formula: high if what a file does when it is loaded (up to three calls away), `AppConfig.ready` or a Rails initializer
enqueues a job or calls Redis or the database, and files prove that a server forks afterwards (gunicorn's preload_app,
uWSGI without lazy-apps, Puma's or Unicorn's preload_app, Celery's prefork pool); medium where nobody seems to load the
file; info where no file tells how the application is served

Nothing is said of `if __name__ == "__main__"`, scripts and migrations, hooks after a fork, blocks of
`configure_server` and its like, and conditions that choose a process. A client that is only built has asked nothing.

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
Sidekiq issue 5535; gunicorn, `preload_app`; uWSGI, "Things to know".
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Location, Missing, Severity, Verdict, check
from kiqdoctor.doctor.facts.code import AtBoot, Booted, Code, Execution
from kiqdoctor.doctor.facts.deployment import Deployment, Starts
from kiqdoctor.doctor.rules import forked, served, settled, through

WEB = ("wsgi.py", "asgi.py", "config.ru")
"""Files that a web server loads, and no worker."""
CACHED = ("redis", "Redis", "django")
"""What built the clients that this rule speaks of; engines and databases' connections are DBC002's."""


@check("COD011", severity=Severity.HIGH)
def enqueue_at_boot(
    code: Code, boot: AtBoot, execution: Execution, starts: Starts, deployment: Deployment | Missing
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
        told.setdefault((site.function, site.name), _finding(code, site, proof))
    yield from told.values()
    yield from settled(code, boot, found=bool(told))


def _finding(code: Code, site: Booted, proof: Evidence | None) -> Finding:
    place = code.place(site)
    severity = Severity.INFO if proof is None else Severity.HIGH if site.loaded else Severity.MEDIUM
    what = f"{site.job} is enqueued" if site.job else f"{site.name} is called"
    where = Evidence("runs when it is loaded", code.functions[site.function].name, f"{place.path}:{place.line}")
    return Finding(
        f"file:{place.path}",
        f"{what} while the application is loaded" + (", before its server forks" if proof else ""),
        "Move it into a hook that runs after the fork (post_fork, on_worker_boot), or into a periodic job.",
        (*through(code, site.through), where, *([proof] if proof else ())),
        severity,
        location=Location(place.path, place.line, place.column),
        key=site.name,
    )
