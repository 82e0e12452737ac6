"""What a call in Ruby names."""

from typing import TYPE_CHECKING, Final

from kiqdoctor.probes.tree.ruby import text

if TYPE_CHECKING:
    from tree_sitter import Node

CONSTANTS: Final = frozenset({"constant", "scope_resolution"})
LONGEST: Final = 25  # links of a.b.c that are followed; a person writes ten


def name_of(node: "Node") -> str:
    """``Timeout.timeout``, ``HTTP.timeout.get``, ``Queue[].limit``, ``fork``; "?" stands for any other object."""
    parts: list[str] = []
    one: Node | None = node
    while one is not None and len(parts) < LONGEST:
        type_of = one.type
        if type_of == "call":
            parts.append("." + text(one.child_by_field_name("method")))
            one = one.child_by_field_name("receiver")
        elif type_of == "element_reference":
            parts.append("[]")
            one = one.child_by_field_name("object")
        else:
            parts.append(text(one).lstrip(":") if type_of in CONSTANTS else "self" if type_of == "self" else "?")
            break
    return "".join(reversed(parts)).lstrip(".")
