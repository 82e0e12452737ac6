"""Queue libraries, by the packages that an application locks for production."""

from collections.abc import Iterator
from typing import Final

from kiqdoctor.doctor.facts.packages import Packages

PYTHON: Final = {
    **{name: name for name in ("celery", "dramatiq", "rq", "huey", "taskiq", "arq", "saq", "streaq", "procrastinate")},
    **dict.fromkeys(("django-rq", "flask-rq2", "rq-scheduler"), "rq"),
    **dict.fromkeys(("django-q", "django-q2"), "django_q"),
    "django-dramatiq": "dramatiq",
    "django-tasks": "django_tasks",
    "django-huey": "huey",
    "litestar-saq": "saq",
    "kiqdoctor": "kiqdoctor",
    "dispatcherd": "dispatcherd",
    "apscheduler": "apscheduler",
}
RUBY: Final = {
    **{name: name for name in ("sidekiq", "resque", "good_job", "solid_queue", "que", "shoryuken", "sneakers")},
    **{name: name for name in ("sucker_punch", "delayed_job")},
}
"""Packages, and what their library is called."""


def libraries(packages: Packages) -> Iterator[tuple[str, str]]:
    """Language and library of each, once for each package."""
    for one in packages.all:
        known = PYTHON if one.ecosystem == "python" else RUBY
        if one.name in known and one.production:
            yield one.ecosystem, known[one.name]
