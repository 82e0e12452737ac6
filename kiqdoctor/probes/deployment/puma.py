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
    preload, judged = 0, set[int]()  # names in calls, which were judged by their argument
    for node in walk(file.ruby()):
        receiver, method, arguments = call(node)
        name = node.child_by_field_name("method") if node.type == "call" else None
        if name is not None:
            judged.add(name.id)
        if node.type == "assignment":
            variables[text(node.child_by_field_name("left"))] = node.child_by_field_name("right")
        elif not receiver and method in {processes, "threads"} and arguments:
            said[method] = of_ruby(arguments[-1], variables) or Amount(None)
        elif (method in PRELOAD and text(first(arguments)) in {"", "true"}) or (
            node.type == "identifier" and node.id not in judged and text(node) in PRELOAD
        ):
            preload = preload or node.start_point[0] + 1
    return ServerFile(file.path, said.get(processes), said.get("threads"), preload)
