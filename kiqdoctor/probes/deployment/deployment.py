"""How many processes and threads run, as the application's own files say."""

from kiqdoctor.doctor.facts.deployment import Deployment
from kiqdoctor.doctor.probe import AbsenceError, Lane, Read, probe
from kiqdoctor.doctor.tools import Application


@probe(
    Read("sidekiq.yml, Procfile, compose and Kubernetes files, systemd units, puma.rb, gunicorn.conf.py", "", "small"),
    lane=Lane.FILES,
    deadline_s=30.0,
)
def deployment(application: Application) -> Deployment:
    """Processes and threads, as the application's own files ask for them."""
    from kiqdoctor.probes.deployment import deploy

    found = deploy.read(application.root)
    if not (found.workers or found.webs or found.unreadable):
        raise AbsenceError("no file of the application says how workers are started")
    return found
