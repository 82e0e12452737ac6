"""unicorn.rb: worker_processes, and preload_app."""

from kiqdoctor.probes.deployment.formats import configures
from kiqdoctor.probes.deployment.puma import server_file
from kiqdoctor.probes.deployment.records import ServerFile
from kiqdoctor.probes.tree.file import File


@configures("unicorn", "config/unicorn/production.rb", "config/unicorn.rb")
def unicorn(file: File) -> list[ServerFile]:
    return [server_file(file, "worker_processes")]
