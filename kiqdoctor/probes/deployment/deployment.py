"""How many processes and threads run, as the application's own files say."""

from kiqdoctor.doctor.facts.deployment import Deployment
from kiqdoctor.doctor.probe import AbsenceError, Lane, Read, probe
from kiqdoctor.probes.tree.tree import Tree


@probe(
    Read("Procfile, compose, Kubernetes, systemd, Docker and platforms' files", "", "up to 1 MB each"),
    Read("sidekiq.yml, config/**/*.rb, puma.rb, unicorn.rb, gunicorn.conf.py, uwsgi.ini", "", "up to 1 MB each"),
    lane=Lane.FILES,
    deadline_s=30.0,
)
def deployment(tree: Tree) -> Deployment:
    """Processes and threads, as the application's own files ask for them."""
    from kiqdoctor.probes.deployment.derived import derived

    found = tree.once(derived).deployment
    if not (found.workers or found.webs or found.unreadable):
        raise AbsenceError("no file of the application says how workers are started")
    return found
