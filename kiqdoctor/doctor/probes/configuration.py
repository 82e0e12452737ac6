"""The application's configuration: which Redis each role uses, and how many processes and threads run."""

from kiqdoctor.doctor.facts.application import Deployment, RedisSettings
from kiqdoctor.doctor.probe import AbsenceError, Read, probe
from kiqdoctor.doctor.tools import Application


@probe(
    Read("*.rb, .env", "", "files that speak of Sidekiq or Redis, up to 1 MB each"),
    Read("*.py", "", "files that speak of kiqdoctor"),
    live=False,
    deadline_s=30.0,
)
def redis_settings(application: Application) -> RedisSettings:
    """Every place that tells a role its Redis, in Ruby and in Python."""
    from kiqdoctor.doctor.probes.config import python, ruby

    found_ruby, unread_ruby = ruby.settings(application.root)
    found_python, unread_python = python.settings(application.root)
    everything = (*found_ruby, *found_python)
    unreadable = (*unread_ruby, *unread_python)
    if not everything and not unreadable:
        raise AbsenceError("no file of the application configures Sidekiq's or kiqdoctor's Redis")
    return RedisSettings(everything, unreadable)


@probe(
    Read("sidekiq.yml, Procfile, compose and Kubernetes files, systemd units, puma.rb, gunicorn.conf.py", "", "small"),
    live=False,
    deadline_s=30.0,
)
def deployment(application: Application) -> Deployment:
    """Processes and threads, as the application's own files ask for them."""
    from kiqdoctor.doctor.probes.config import deploy

    found = deploy.read(application.root)
    if not (found.workers or found.webs or found.unreadable):
        raise AbsenceError("no file of the application says how workers are started")
    return found
