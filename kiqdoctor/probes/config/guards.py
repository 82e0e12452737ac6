"""Ruby's statements with the conditions, groups and methods around them, carried down: nothing climbs a tree."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Optional

from kiqdoctor.probes.tree.ruby import call, text
from kiqdoctor.records import dataclass
from kiqdoctor.text import clean

if TYPE_CHECKING:
    from tree_sitter import Node

LONGEST: Final = 200  # characters of a condition that are told
MOST: Final = 20  # conditions around one statement that are told
NEGATIVE: Final = frozenset({"unless", "unless_modifier"})
CONDITIONS: Final = frozenset({"if", "if_modifier", "elsif", "conditional", "case"}) | NEGATIVE
WHEN: Final = "when"
LEAVING: Final = frozenset({"return", "next", "break"})
ENDING: Final = frozenset({"exit", "exit!", "abort", "raise", "fail"})
METHODS: Final = frozenset({"method", "singleton_method"})


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around a statement: a node, and what stands around that. ``negated``: where it does not hold."""

    node: "Node"
    outer: Optional["Around"] = None
    negated: bool = False

    def told(self) -> Iterator[str]:
        """In words, innermost first."""
        one: Around | None = self
        for _ in range(MOST):
            if one is None:
                return
            if words := one.words():
                yield short(words)
            one = one.outer

    def words(self) -> str:
        """This one alone."""
        if self.node.type in METHODS:
            return f"def {text(self.node.child_by_field_name('name'))}"
        if self.node.type in CONDITIONS:
            condition = self.node.child_by_field_name("condition") or self.node.child_by_field_name("value")
            return f"{'not ' if self.negated else ''}{text(condition)}"
        if self.node.type == WHEN:
            return f"when {', '.join(map(text, self.node.children_by_field_name('pattern')))}"
        receiver, method, arguments = call(self.node)
        if receiver.lstrip(":") == "Sidekiq":
            return method
        return f"{method} {', '.join(map(text, arguments))}"


def short(words: str) -> str:
    """One line of a condition, fit to be shown."""
    return clean(" ".join(words[: 10 * LONGEST].split())[:LONGEST])


def guarded(root: "Node") -> Iterator[tuple["Node", Around | None]]:
    """Each node in the order of the source with what stands around it."""
    stack: list[tuple[Node, Around | None]] = [(root, None)]
    while stack:
        node, around = stack.pop()
        yield node, around
        condition = node.child_by_field_name("condition") if node.type in CONDITIONS else None
        within = Around(node, around, node.type in NEGATIVE) if _guards(node) else around
        below: list[tuple[Node, Around | None]] = []
        for child in node.children:
            if condition is not None and child.id == condition.id:
                below.append((child, around))
            elif child.type == "else" and node.type in CONDITIONS:
                below.append((child, Around(node, around, node.type not in NEGATIVE)))
            else:
                below.append((child, within))
                within = Around(child, within, child.type not in NEGATIVE) if _leaves(child) else within
        stack += reversed(below)


def _leaves(node: "Node") -> bool:
    """``return if X``, ``abort("no") unless Y``, ``if X ... exit end``: what follows runs where that does not hold."""
    if node.type in {"if_modifier", "unless_modifier"}:
        last = node.child_by_field_name("body")
    elif node.type in {"if", "unless"} and node.child_by_field_name("alternative") is None:
        then = node.child_by_field_name("consequence")
        last = then.named_children[-1] if then is not None and then.named_children else None
    else:
        return False
    return last is not None and (last.type in LEAVING or (call(last)[1] or text(last)) in ENDING)


def _guards(node: "Node") -> bool:
    if node.type in CONDITIONS or node.type in METHODS or node.type == WHEN:
        return True
    receiver, method, arguments = call(node)
    if method in {"group", "configure", "environment"}:  # without a word, as Rails' own, it runs everywhere
        return bool(arguments) and not receiver.startswith("Sidekiq")
    return receiver.lstrip(":") == "Sidekiq" and method.startswith("configure_")
