"""Which of the application's classes are jobs: by mixin, or by what they inherit."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kiqdoctor.probes.code.ruby.classes import Class, Classes, Method

LIBRARIES: Final = {
    "Sidekiq::Job": "sidekiq",
    "Sidekiq::Worker": "sidekiq",
    "Sidekiq::IterableJob": "sidekiq",
    "ActiveJob::Base": "activejob",
    "ApplicationJob": "activejob",
}


@dataclass(frozen=True, slots=True)
class Registered:
    """A class whose ``perform`` runs as a job."""

    cls: Class
    method: Method
    library: str


def jobs(classes: Classes) -> Iterator[Registered]:
    """All of them."""
    for cls in classes.all.values():
        library = library_of(classes, cls)
        method = classes.method(cls, "perform", singleton=False) if library else None
        if method is not None:
            yield Registered(cls, method, library)


def library_of(classes: Classes, cls: Class) -> str:
    """The library that makes jobs of such classes; "" for none."""
    outside = (above for above in classes.ancestors(cls) if isinstance(above, str))
    return next((LIBRARIES[above] for above in outside if above in LIBRARIES), "")
