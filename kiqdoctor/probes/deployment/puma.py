"""puma.rb: workers, threads, and whether the application is loaded before they are forked."""

from typing import TYPE_CHECKING, Final

from kiqdoctor.probes.deployment.amounts import Amount, of_ruby
from kiqdoctor.probes.deployment.formats import configures
from kiqdoctor.probes.deployment.records import ServerFile
from kiqdoctor.probes.tree.file import File
from kiqdoctor.probes.tree.ruby import call, first, text, walk

if TYPE_CHECKING:
    from tree_sitter import Node

PRELOAD: Final = frozenset({"preload_app!", "preload_app"})


@configures("puma", "config/puma/production.rb", "config/puma.rb")
def puma(file: File) -> list[ServerFile]:
    return [server_file(file, "workers")]


def server_file(file: File, processes: str) -> ServerFile:
    """What a web server's configuration in Ruby says; ``processes``: the word for their number."""
    variables: dict[str, Node | None] = {}
    said: dict[str, Amount] = {}
    preload = 0
    for node in walk(file.ruby()):
        receiver, method, arguments = call(node)
        if node.type == "assignment":
            variables[text(node.child_by_field_name("left"))] = node.child_by_field_name("right")
        elif not receiver and method in {processes, "threads"} and arguments:
            said[method] = of_ruby(arguments[-1], variables) or Amount(None)
        elif text(node) in PRELOAD or (method in PRELOAD and text(first(arguments)) == "true"):
            preload = preload or (0 if _is_method(node) else node.start_point[0] + 1)
    return ServerFile(file.path, said.get(processes), said.get("threads"), preload)


def _is_method(node: "Node") -> bool:
    """Whether it is the name in a call, which was judged by its argument."""
    return node.parent is not None and node.parent.type == "call"
