"""What decides what a fork inherits, as the application's own files say."""

from kiqdoctor.doctor.facts.deployment import Starts
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.probes.tree.tree import Tree


@probe(Read("the files that tell how it is deployed", "", "read once with them"), lane=Lane.FILES, deadline_s=30.0)
def starts(tree: Tree) -> Starts:
    """Settings of servers and commands by which processes inherit what was loaded before they were made."""
    from kiqdoctor.probes.deployment.derived import derived

    return tree.once(derived).starts
