"""puma.rb: workers, threads, and whether the application is loaded before they are forked."""

from typing import TYPE_CHECKING, Final

from kiqdoctor.probes.deployment.amounts import Amount, of_ruby
from kiqdoctor.probes.deployment.formats import configures
from kiqdoctor.probes.deployment.records import ServerFile
from kiqdoctor.probes.tree.file import File
from kiqdoctor.probes.tree.ruby import call, named, text, walk

if TYPE_CHECKING:
    from tree_sitter import Node

PRELOAD: Final = frozenset({"preload_app!", "preload_app"})


@configures("puma", "config/puma/production.rb", "config/puma.rb")
def puma(file: File) -> list[ServerFile]:
    return [server_file(file, "workers")]


def server_file(file: File, processes: str) -> ServerFile:
    """What a web server's configuration in Ruby says; ``processes``: the word for their number."""
    variables: dict[str, Node | None] = {}
    said: dict[str, Amount | None] = {}
    preload = 0
    for node in walk(file.ruby()):
        receiver, method, arguments = call(node)
        if node.type == "assignment":
            variables[text(node.child_by_field_name("left"))] = node.child_by_field_name("right")
        elif not receiver and method in {processes, "threads"} and arguments:
            said[method] = of_ruby(arguments[-1], variables)
        elif method in PRELOAD or (node.type == "identifier" and text(node) in PRELOAD):
            off = [text(one) for one in named(node.child_by_field_name("arguments"))] == ["false"]
            preload = preload if off else preload or node.start_point[0] + 1
    return ServerFile(file.path, said.get(processes), said.get("threads"), preload)
