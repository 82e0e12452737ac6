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
        for child in reversed(node.children):
            below = around if condition is not None and child.id == condition.id else within
            if child.type == "else" and node.type in CONDITIONS:
                below = Around(node, around, node.type not in NEGATIVE)
            stack.append((child, below))


def _guards(node: "Node") -> bool:
    if node.type in CONDITIONS or node.type in METHODS:
        return True
    receiver, method, arguments = call(node)
    if method in {"group", "configure", "environment"}:  # without a word, as Rails' own, it runs everywhere
        return bool(arguments) and not receiver.startswith("Sidekiq")
    return receiver.lstrip(":") == "Sidekiq" and method.startswith("configure_")
