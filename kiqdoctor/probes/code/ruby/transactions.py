"""What opens a database transaction in Ruby: blocks, and Active Record's callbacks."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.probes.code.graph import Opened
from kiqdoctor.probes.code.ruby.classes import Class, Classes, Method, Sent
from kiqdoctor.probes.code.ruby.naming import CONSTANTS
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
LOCK: Final = "with_lock"
"""A method of records; other libraries and applications call locks of their own so."""


def blocks(classes: Classes) -> Iterator[Opened]:
    """Those that methods open for a block."""
    other = any(one.short == LOCK and not _is_record(classes, one.owner) for one in classes.units)
    for method in classes.units:
        for sent in method.calls:
            opens = sent.last == "transaction" or (sent.last == LOCK and not other and not _is_of_class(sent))
            block = sent.node.child_by_field_name("block") if opens else None
            if block is not None:
                yield Opened(method, method.at(sent.node), sent.name, method.span(block))


def _is_record(classes: Classes, cls: Class | None) -> bool:
    return cls is not None and not RECORDS.isdisjoint(one for one in classes.ancestors(cls) if isinstance(one, str))


def _is_of_class(sent: Sent) -> bool:
    receiver = sent.node.child_by_field_name("receiver")
    return receiver is not None and receiver.type in CONSTANTS


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
