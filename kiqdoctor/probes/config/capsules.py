"""What an initializer gives to Sidekiq's capsules, the default one too: queues, and threads."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.config import QueueLine, Setting
from kiqdoctor.probes.config.guards import CONDITIONS
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex
from kiqdoctor.text import clean

if TYPE_CHECKING:
    from tree_sitter import Node

    from kiqdoctor.probes.tree.file import File

CONFIGURES: Final = frozenset({"configure_server", "configure_embed", "default_capsule"})
LISTS: Final = frozenset({"array", "string_array"})
QUEUES: Final = ".queues"
THREADS: Final = "concurrency"
INTEGER: Final = regex(r"-?\d{1,6}")


@dataclass(frozen=True, slots=True)
class Within:
    """Where a node stands: in which capsule, under a condition, and what blocks call what they configure."""

    capsule: str
    configured: Mapping[str, str]
    perhaps: bool = False


def capsules(file: "File") -> Iterator[QueueLine | Setting]:
    """``config.queues = %w[a b]`` and ``config.concurrency = 5`` of an initializer, and those of its capsules."""
    try:
        content = file.content()
        tells = b"Sidekiq" in content and (b"capsule" in content or b".concurrency" in content)
        stack = [(file.ruby(), Within("", {}))] if tells else []
    except (UnreadableError, UnparsedError):
        return
    while stack:
        node, within = stack.pop()
        within = _inside(node, within)
        if node.type == "assignment":
            yield from _queues(node, within.capsule)
            yield from _threads(node, within)
        stack += [(child, within) for child in reversed(node.children)]


def _inside(node: "Node", within: Within) -> Within:
    from kiqdoctor.probes.tree.ruby import block, call, first, named, string, text

    if node.type in CONDITIONS:
        return Within(within.capsule, within.configured, perhaps=True)
    _, method, arguments = call(node)
    is_capsule = method == "capsule" and bool(arguments)
    if not is_capsule and method not in CONFIGURES:
        return within
    capsule = f"capsules.{clean(string(arguments[0]) or text(arguments[0]))}" if is_capsule else within.capsule
    inner = block(node)
    parameters = named(inner.child_by_field_name("parameters")) if inner is not None else []
    name = text(first(parameters))
    return Within(capsule, {**within.configured, name: capsule} if name else within.configured, within.perhaps)


def _queues(node: "Node", within: str) -> Iterator[QueueLine]:
    from kiqdoctor.probes.tree.ruby import string, text

    right = node.child_by_field_name("right")
    told = text(node.child_by_field_name("left")).endswith(QUEUES) and right is not None
    for item in right.named_children if told and right is not None and right.type in LISTS else ():
        name = text(item) if item.type == "bare_string" else string(item)
        one = queue_line(name, node.start_point[0] + 1, within) if name else None
        yield from () if one is None else (one,)


def _threads(node: "Node", within: Within) -> Iterator[Setting]:
    from kiqdoctor.probes.tree.ruby import text

    owner, _, word = text(node.child_by_field_name("left")).rpartition(".")
    if word == THREADS and owner in within.configured:
        capsule = within.configured[owner]
        key = f"{capsule}.{THREADS}".lstrip(".")
        yield Setting(key, node.start_point[0] + 1, *_value(node.child_by_field_name("right"), capsule, within))


def _value(right: "Node | None", capsule: str, within: Within) -> tuple[str, str]:
    """As a file's would be; what only a condition sets is as good as computed. A capsule takes no text for a number."""
    from kiqdoctor.probes.deployment.amounts import of_ruby
    from kiqdoctor.probes.tree.ruby import string, text

    plain, literal = text(right), string(right)
    if INTEGER.fullmatch(plain):
        return ("computed", "") if within.perhaps and int(plain) < 1 else ("number", plain)
    if literal is not None and not within.perhaps:
        return ("number", literal) if not capsule and INTEGER.fullmatch(literal) else ("text", "")
    amount = of_ruby(right, {})
    number = amount.number if amount is not None else None
    return "computed", "" if number is None or (within.perhaps and number < 1) else str(number)


def queue_line(value: object, line: int, within: str) -> QueueLine | None:
    """A queue of a list: its name, or a pair with its weight; None for anything else."""
    from kiqdoctor.wire.numbers import whole

    name, weight = (
        (value[0], value[1] if len(value) > 1 else None)
        if isinstance(value, list | tuple) and value
        else (
            value,
            None,
        )
    )
    text, _, spelt = str(name).partition(",") if isinstance(name, str | int) else ("", "", "")
    return (
        QueueLine(clean(text.strip()), whole(weight if weight is not None else spelt.strip()), line, within)
        if text
        else None
    )
