"""What a call in Ruby names, and what it hands over: ``x.send(:name, 1)`` is ``x.name(1)``."""

from typing import TYPE_CHECKING, Final

from kiqdoctor.probes.tree.ruby import named, string, text
from kiqdoctor.regex import regex

if TYPE_CHECKING:
    from tree_sitter import Node

CONSTANTS: Final = frozenset({"constant", "scope_resolution"})
SENDS: Final = frozenset({"send", "public_send", "__send__"})
"""Methods that run at once the one whose name they are given."""
NAMES: Final = frozenset({"simple_symbol", "string"})
WORD: Final = regex(r"[A-Za-z_]\w{0,99}[?!=]?")
LONGEST: Final = 25  # links of a.b.c that are followed; a person writes ten


def name_of(node: "Node") -> str:
    """``Timeout.timeout``, ``HTTP.timeout.get``, ``Queue[].limit``, ``fork``; "?" stands for any other object."""
    parts: list[str] = []
    one: Node | None = node
    while one is not None and len(parts) < LONGEST:
        type_of = one.type
        if type_of == "call":
            word = text(one.child_by_field_name("method"))
            parts.append("." + (sent(one) if word in SENDS else word))
            one = one.child_by_field_name("receiver")
        elif type_of == "element_reference":
            parts.append("[]")
            one = one.child_by_field_name("object")
        else:
            parts.append(text(one).lstrip(":") if type_of in CONSTANTS else "self" if type_of == "self" else "?")
            break
    return "".join(reversed(parts)).lstrip(".")


def sent(call: "Node") -> str:
    """The method that runs: the one that ``send`` is given by a literal, else the one that is written."""
    word = text(call.child_by_field_name("method"))
    given = named(call.child_by_field_name("arguments")) if word in SENDS else []
    literal = string(given[0]) if given else None
    return literal if literal is not None and WORD.fullmatch(literal) else word


def arguments_of(call: "Node") -> list["Node"]:
    """What it is handed."""
    found = named(call.child_by_field_name("arguments"))
    if found and found[0].type in NAMES:
        word = text(call.child_by_field_name("method"))
        return found[1:] if word in SENDS and sent(call) != word else found
    return found
