"""A Gemfile, as far as it says in which groups gems are."""

from typing import TYPE_CHECKING

from kiqdoctor.probes.packages.groups import DEFAULT
from kiqdoctor.probes.tree.file import File
from kiqdoctor.probes.tree.ruby import named, string, text

if TYPE_CHECKING:
    from tree_sitter import Node


def groups_of(file: File) -> dict[str, list[str]]:
    """Gems by group; raises as `File.ruby`."""
    asked: dict[str, list[str]] = {}
    stack: list[tuple[Node, tuple[str, ...]]] = [(file.ruby(), ())]
    while stack:
        node, inside = stack.pop()
        if node.type == "call" and node.child_by_field_name("receiver") is None:
            word, given = text(node.child_by_field_name("method")), named(node.child_by_field_name("arguments"))
            if word == "group":
                inside = (*inside, *(name for one in given if (name := string(one)) is not None))
            elif word == "gem" and given and (name := string(given[0])):
                for group in (*inside, *_own(given)) or (DEFAULT,):
                    asked.setdefault(group, []).append(name)
        stack += [(child, inside) for child in node.children]
    return asked


def _own(given: "list[Node]") -> list[str]:
    """``group: :test`` and ``groups: [:development, :test]`` of a gem itself."""
    found: list[str] = []
    for pair in given:
        if pair.type == "pair" and string(pair.child_by_field_name("key")) in {"group", "groups"}:
            value = pair.child_by_field_name("value")
            parts = named(value) if value is not None and value.type == "array" else [value]
            found += [name for one in parts if (name := string(one)) is not None]
    return found
