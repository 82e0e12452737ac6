"""The application's files, and Ruby's syntax tree."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

SKIPPED: Final = frozenset(
    {
        ".git",
        "node_modules",
        ".venv",
        "venv",
        "site-packages",
        "__pycache__",
        ".tox",
        ".mypy_cache",
        "tmp",
        "log",
        ".bundle",
    }
)
MOST_FILES: Final = 20_000
LARGEST: Final = 1024 * 1024  # bytes of one file


def files(root: Path, *suffixes: str) -> Iterator[Path]:
    """Files with these suffixes, in order; links to folders are not followed, vendored code is left out."""
    count = 0
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(
            name
            for name in folders
            if name not in SKIPPED and not (here.name == "vendor" and name in {"bundle", "cache"})
        )
        for name in sorted(names):
            if name.endswith(suffixes):
                count += 1
                if count > MOST_FILES:
                    return
                yield here / name


def content(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        OSError: it cannot be read, is no ordinary file, or is larger than any that a person wrote.
    """
    if not path.is_file():
        raise OSError(f"{path.name} is no ordinary file")
    if path.stat().st_size > LARGEST:
        raise OSError(f"it holds {path.stat().st_size} bytes, more than {LARGEST}")
    return path.read_bytes()


@cache
def _parser() -> Any:
    import tree_sitter_ruby
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_ruby.language()))


def parse(source: bytes) -> Any:
    """The root node of a Ruby file; broken code gives a tree with errors in it."""
    return _parser().parse(source).root_node


def text(node: Any) -> str:
    """A node's source."""
    return node.text.decode("utf-8", "backslashreplace") if node is not None else ""


def named(node: Any) -> list[Any]:
    """A node's children without punctuation and comments."""
    return [child for child in node.named_children if child.type != "comment"] if node is not None else []


def walk(node: Any) -> Iterator[Any]:
    """A node and all below it, in the order of the source, without recursion."""
    stack = [node]
    while stack:
        one = stack.pop()
        yield one
        stack.extend(reversed(one.children))


def call(node: Any) -> tuple[str, str, list[Any]]:
    """Receiver, method and arguments of a call node; empty strings for anything else."""
    if node is None or node.type != "call":
        return "", "", []
    receiver = node.child_by_field_name("receiver")
    method = node.child_by_field_name("method")
    return text(receiver), text(method), named(node.child_by_field_name("arguments"))


def block(node: Any) -> Any:
    """The block of a call, or None."""
    return node.child_by_field_name("block") if node is not None else None


def body(node: Any) -> list[Any]:
    """The statements of a block or a method."""
    inner = node.child_by_field_name("body") if node is not None else None
    return named(inner) if inner is not None else []


def string(node: Any) -> str | None:
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
