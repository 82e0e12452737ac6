"""What opens a database transaction in Ruby: blocks, and Active Record's callbacks."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.probes.code.graph import Opened
from kiqdoctor.probes.code.ruby.classes import Class, Classes, Method
from kiqdoctor.probes.tree.ruby import named, string, text

if TYPE_CHECKING:
    from tree_sitter import Node

CALLBACKS: Final = frozenset(
    {f"{when}_{what}" for when in ("before", "after", "around") for what in ("save", "create", "update", "destroy")}
    | {"after_touch"}
)
"""Active Record's, which run before the commit."""
RECORDS: Final = frozenset({"ActiveRecord::Base", "ApplicationRecord"})
CONCERN: Final = "ActiveSupport::Concern"
BLOCKS: Final = frozenset({"transaction", "with_lock"})


def blocks(method: Method) -> Iterator[Opened]:
    """Those that a method opens for a block."""
    for sent in method.calls:
        block = sent.node.child_by_field_name("block") if sent.last in BLOCKS else None
        if block is not None:
            yield Opened(method, method.at(sent.node), sent.name, method.span(block))


def callbacks(classes: Classes, cls: Class) -> Iterator[Opened]:
    """What Active Record calls within a transaction of its own, where the class is one of its."""
    above = {one for one in classes.ancestors(cls) if isinstance(one, str)}
    if not above & RECORDS and CONCERN not in above:
        return
    for node, body in cls.body:
        if text(node.child_by_field_name("method")) in CALLBACKS:
            yield from _callback(classes, cls, node, body)


def _callback(classes: Classes, cls: Class, node: "Node", body: Method) -> Iterator[Opened]:
    """What an Active Record class is told to run: methods by their names, a block, a lambda."""
    name, given = text(node.child_by_field_name("method")), named(node.child_by_field_name("arguments"))
    names = [string(one) or "" for one in given if one.type == "simple_symbol"]
    methods = [classes.method(cls, one, singleton=False) for one in names]
    at = body.at(node)
    runs = tuple(one for one in methods if one is not None)
    if runs:
        yield Opened(body, at, name, None, runs, hook=True)
    for part in (node.child_by_field_name("block"), *(one for one in given if one.type == "lambda")):
        if part is not None:
            yield Opened(body, at, name, body.span(part), hook=True)
