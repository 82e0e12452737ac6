"""Initializers: the threads that Sidekiq is given in code, which come after every file and option."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kiqdoctor.probes.deployment.amounts import of_ruby
from kiqdoctor.probes.deployment.formats import configures
from kiqdoctor.probes.deployment.records import InCode
from kiqdoctor.probes.tree.file import File
from kiqdoctor.probes.tree.ruby import block, call, first, named, string, text, walk

if TYPE_CHECKING:
    from tree_sitter import Node


@configures("sidekiq", "config/**/*.rb")
def initializers(file: File) -> Iterator[InCode]:
    if b"Sidekiq" not in file.content():
        return
    for node in walk(file.ruby()):
        receiver, method, arguments = call(node)
        if receiver.lstrip(":") == "Sidekiq" and method.startswith("configure_"):
            given = f"{text(first(named(_parameters(node))))}.concurrency"
            for one in walk(node):
                if one.type == "assignment" and text(one.child_by_field_name("left")) == given:
                    yield InCode(file.path, one.start_point[0] + 1, of_ruby(one.child_by_field_name("right"), {}))
        if method == "capsule" and arguments:
            inner = (one for one in walk(node) if one.type == "assignment")
            ends = [one for one in inner if text(one.child_by_field_name("left")).endswith(".concurrency")]
            amounts = [of_ruby(one.child_by_field_name("right"), {}) for one in ends]
            name = string(arguments[0]) or text(arguments[0])
            yield InCode(file.path, node.start_point[0] + 1, amounts[0] if amounts else None, name)


def _parameters(node: "Node") -> "Node | None":
    inside = block(node)
    return inside.child_by_field_name("parameters") if inside is not None else None
