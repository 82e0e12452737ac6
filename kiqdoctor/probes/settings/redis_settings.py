"""Which Redis each role of the application uses, as its own files say."""

from kiqdoctor.doctor.facts.settings import RedisSettings
from kiqdoctor.doctor.probe import AbsenceError, Lane, Read, probe
from kiqdoctor.probes.tree.tree import Tree


@probe(
    Read("*.rb, .env", "", "files that speak of Sidekiq or Redis, up to 1 MB each"),
    Read("*.py", "", "files that speak of kiqdoctor"),
    lane=Lane.FILES,
    deadline_s=30.0,
)
def redis_settings(tree: Tree) -> RedisSettings:
    """Every place that tells a role its Redis, in Ruby and in Python."""
    from kiqdoctor.probes.settings import python, ruby

    found_ruby, unread_ruby = ruby.settings(tree)
    found_python, unread_python = python.settings(tree)
    everything = (*found_ruby, *found_python)
    unreadable = (*unread_ruby, *unread_python)
    if not everything and not unreadable:
        raise AbsenceError("no file of the application configures Sidekiq's or kiqdoctor's Redis")
    return RedisSettings(everything, unreadable)
