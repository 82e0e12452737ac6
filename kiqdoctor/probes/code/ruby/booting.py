"""What runs when a Ruby application boots, and what of it asks Redis."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.probes.code.ruby.classes import Classes, Method
from kiqdoctor.probes.code.ruby.naming import name_of
from kiqdoctor.probes.code.spans import Position, Span
from kiqdoctor.probes.tree.ruby import block, text, walk
from kiqdoctor.regex import regex

if TYPE_CHECKING:
    from tree_sitter import Node

BOOTS: Final = regex(
    r"(?:^|/)config/(?:initializers/|(?:application|environment|environments/production)\.rb$)|(?:^|/)config\.ru$"
)
AT_ONCE: Final = frozenset(
    {"configure", "after_initialize", "to_prepare", "on_load", "each", "each_with_index", "map", "tap", "times", "then"}
    | {"each_pair", "with", "silence"}
)
"""Methods whose block runs while the application boots, in whatever process."""
CONDITIONS: Final = frozenset({"if", "unless", "if_modifier", "unless_modifier", "conditional", "case"})
CHOOSES: Final = regex(r"server\?|[Ss]idekiq|test|development|console|defined\?|\$PROGRAM_NAME|\$0|ENV")
"""Conditions that choose a process: what they choose is not told apart."""
ASKS: Final = (
    "Redis.new.",
    "Redis.current.",
    "Sidekiq::Queue[].",
    "Sidekiq::Queue.new.",
    "Sidekiq::Limiter.",
    "Sidekiq::Stats.new",
    "Sidekiq::RetrySet.new.",
    "Sidekiq::ScheduledSet.new.",
    "Sidekiq::DeadSet.new.",
    "Sidekiq::Cron::Job.",
)
BLOCK: Final = "Sidekiq.redis"
CLIENT: Final = "Redis.new"


def begins(classes: Classes) -> Iterator[tuple[Method, list[Span], bool]]:
    """What each file of the boot does, and what of it belongs to some processes only."""
    for method in classes.units:
        if method.body and BOOTS.search(method.path):
            yield method, [*spared(method)], True


def spared(method: Method) -> Iterator[Span]:
    """What of it does not run at boot in every process: blocks that somebody keeps for later, and what is chosen."""
    for sent in method.calls:
        inside = block(sent.node)
        if inside is not None and sent.last not in AT_ONCE and sent.name != BLOCK:
            yield method.span(inside)
    for node in walk(method.node):
        if node.type in CONDITIONS:
            asked = node.child_by_field_name("condition") or node.child_by_field_name("value")
            if CHOOSES.search(text(asked)):
                yield method.span(node)


def asked(clients: frozenset[str], method: Method) -> Iterator[tuple[Position, str, str]]:
    """Calls that ask Redis: where, what is called, and what built the client; ``clients``: constants that are one."""
    for sent in method.calls:
        name = sent.name
        opened = name == BLOCK and block(sent.node) is not None
        if opened or name.startswith(ASKS) or ("." in name and name.partition(".")[0] in clients):
            yield method.at(sent.node), name, "Redis"


def clients(classes: Classes) -> frozenset[str]:
    """Constants of the boot that hold a client."""
    bodies = (method for method in classes.units if method.body and BOOTS.search(method.path))
    return frozenset(
        text(left)
        for method in bodies
        for node in method.assignments
        if _constant(left := node.child_by_field_name("left")) and _value(node) == CLIENT
    )


def _constant(node: "Node | None") -> bool:
    return node is not None and node.type == "constant"


def _value(node: "Node") -> str:
    """What is called for the value of an assignment."""
    right = node.child_by_field_name("right")
    return name_of(right) if right is not None else ""
