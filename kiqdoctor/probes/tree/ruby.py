"""Ruby's syntax trees, and what readers ask of a node."""

import re
import time
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Final

from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.regex import regex

if TYPE_CHECKING:
    from tree_sitter import Language, Node

PARSE_SECONDS: Final = 5.0  # of a thread's own time; a file of the largest size takes two
BODIES: Final = frozenset({"body_statement", "block_body"})
LONGEST_NAME: Final = 1000  # bytes
RESPELT: Final = (
    (regex(rb"(?<=, )&(?=[ \t]*$)", re.MULTILINE), b"0"),  # render X.new, &
    (regex(rb"(?<=,\n)([ \t]{1,200})&(?=[ \t]*$)", re.MULTILINE), rb"\g<1>0"),  # the same on a line of its own
    (regex(rb"(?<=[\w\])])<<(?=['\"])"), b"+ "),  # path<<'/'<<name, where no heredoc begins
    (regex(rb"^([ \t]*[a-z_]\w*) (\[[^]\n]*\])(?=[ \t]*=[^=~])", re.MULTILINE), rb"\1\2 "),  # options [:x] = 1
    (
        regex(
            rb"^([ \t]*def [\w.]+[?!]?(?:\([^)\n]*\))? {1,40}=) ([a-z_]\w*[?!]?)"
            rb" (?!(?:if|unless|and|or|rescue|while|until|in|do)\b)([\w\"':@][^\n]*?)"
            rb"((?:[ \t]{1,8}#[ \t][^\n\"']{0,90})?)$",
            re.MULTILINE,
        ),
        rb"\1\2(\3)\4",  # def log(text) = puts "at #{now} #{text}"
    ),
)
INTERPOLATED: Final = regex(rb"^[ \t]*#\{[ \t]*\n(?:(?![ \t]*\}[ \t]*$)[^\n]*\n)*", re.MULTILINE)
HEREDOC: Final = regex(
    rb"(<<[~-](\w{2,40}))([^\n]{0,200}\n)((?:[^\n]{0,500}\n){0,40}?[ \t]{0,99}\2)(?=[ \t]{0,9}$)", re.MULTILINE
)
VALUE: Final = (
    rb"(?:'[^'\n]{0,200}'|\"[^\"\n]{0,200}\"|/[^/\n]{0,200}/\w{0,5}|%r\{[^}\n]{0,200}\}\w{0,5}"
    rb"|\^?:?\w[\w.:]{0,99}[?!]?)"
)
PATTERN: Final = regex(
    rb"(?<=\bin )(\w+: (?:[^\n]{0,300}\|[ \t]{0,9}\n){0,3}[^\n]{0,300}),"
    rb"((?:[ \t]{0,9}\n[ \t]{1,200}\w+: " + VALUE + rb"(?:[ \t]{0,9}\|\s{1,200}" + VALUE + rb"){0,40},?)+)"
)
"""A hash as a pattern without braces, over lines: ``in pointer: %r{x},\\n  code: /y/``; what follows the first line."""
DEFAULT: Final = regex(rb"(-> ?[a-z_][^\n({]{0,200}: )([a-z_]\w*\.[\w.]+[?!]?)(?= \{)")  # -> x, strict: x.nil? {
NO_NEWLINE: Final = regex(rb"[^\n]")
SHORT: Final = 4 * 1024  # bytes; what takes 32 kB five seconds takes this a twentieth of one
PIECE: Final = 64 * 1024  # bytes that the parser is handed at once


@cache
def _language() -> "Language":
    import tree_sitter_ruby
    from tree_sitter import Language

    return Language(tree_sitter_ruby.language())


def parse(source: bytes, seconds: float = PARSE_SECONDS) -> "Node":
    """The root node of a Ruby file; broken code gives a tree with errors in it.

    What the grammar does not know yet is spelt in words of the same length that it knows, where that mends all.

    Raises:
        UnparsedError: it takes this thread longer than so many seconds, as 32 kB of ``%w[%w[%w[`` do.
    """
    root = _parsed(source, seconds)
    respelt = _respelt(source) if root.has_error else source
    again = _parsed(respelt, seconds) if respelt != source else root
    return root if again.has_error else again


def _respelt(source: bytes) -> bytes:
    for old, new in RESPELT:
        source = old.sub(new, source)
    source = PATTERN.sub(lambda found: found[1] + b" " + NO_NEWLINE.sub(b" ", found[2]), source)
    source = DEFAULT.sub(lambda found: found[1] + b"nil".ljust(len(found[2])), source)
    return INTERPOLATED.sub(lambda found: HEREDOC.sub(_blank, found[0]), source)


def _blank(found: re.Match[bytes]) -> bytes:
    """A heredoc within another's interpolation, as an empty text of the same length."""
    return b'"' + b" " * (len(found[1]) - 2) + b'"' + found[3] + NO_NEWLINE.sub(b" ", found[4])


def _parsed(source: bytes, seconds: float) -> "Node":
    from tree_sitter import Parser

    parser = Parser(_language())  # it belongs to one thread
    if len(source) <= SHORT:
        return parser.parse(source).root_node
    end = time.thread_time() + seconds
    try:
        # A parse that can be stopped reads by a callback, and its nodes would call that for each text, 30 times as slow
        stoppable = parser.parse(
            lambda at, _: source[at : at + PIECE], progress_callback=lambda *_: time.thread_time() > end
        )
    except ValueError:
        raise UnparsedError(f"it takes longer than {seconds:g} s to parse") from None
    return parser.parse(source, stoppable).root_node


def text(node: "Node | None") -> str:
    """A node's source."""
    return (node.text or b"").decode("utf-8", "backslashreplace") if node is not None else ""


def named(node: "Node | None") -> list["Node"]:
    """A node's children without punctuation and comments."""
    return [child for child in node.named_children if child.type != "comment"] if node is not None else []


def walk(node: "Node") -> Iterator["Node"]:
    """A node and all below it, in the order of the source, without recursion."""
    stack = [node]
    while stack:
        one = stack.pop()
        yield one
        stack.extend(reversed(one.children))


def call(node: "Node | None") -> tuple[str, str, list["Node"]]:
    """Receiver, method and arguments of a call node; empty strings for anything else."""
    if node is None or node.type != "call":
        return "", "", []
    receiver = node.child_by_field_name("receiver")
    method = node.child_by_field_name("method")
    return _name(receiver), text(method), named(node.child_by_field_name("arguments"))


def _name(node: "Node | None") -> str:
    """A receiver's source, unless it is too long for a name: a chain of 100,000 calls holds all those before it."""
    return text(node) if node is not None and node.end_byte - node.start_byte <= LONGEST_NAME else ""


def block(node: "Node | None") -> "Node | None":
    """The block of a call, or None."""
    return node.child_by_field_name("block") if node is not None else None


def body(node: "Node | None") -> list["Node"]:
    """The statements of a block or a method."""
    inner = node.child_by_field_name("body") if node is not None else None
    if inner is None:
        return []
    return named(inner) if inner.type in BODIES else [inner]  # of `def name = value` the value itself


def first(nodes: list["Node"]) -> "Node | None":
    """The first of them."""
    return nodes[0] if nodes else None


def last(nodes: list["Node"]) -> "Node | None":
    """The last of them: what a method or a block returns."""
    return nodes[-1] if nodes else None


def string(node: "Node | None") -> str | None:
    """The value of a plain string or symbol; None where it is computed."""
    if node is None:
        return None
    if node.type in {"simple_symbol", "hash_key_symbol"}:
        return text(node).lstrip(":")
    if node.type == "string":
        parts = named(node)
        if all(part.type in {"string_content", "escape_sequence"} for part in parts):
            return "".join(map(text, parts))
    return None


def environment(node: "Node | None") -> str | None:
    """The variable's name of ``ENV["X"]`` and ``ENV.fetch("X", ...)``."""
    if node is None:
        return None
    if node.type == "element_reference" and len(parts := named(node)) > 1 and text(parts[0]) == "ENV":
        return string(parts[1])
    receiver, method, arguments = call(node)
    return string(arguments[0]) if receiver == "ENV" and method in {"fetch", "[]", "dig"} and arguments else None
