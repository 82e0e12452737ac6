"""The method of the application that a call in Ruby leads to."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kiqdoctor.probes.code.graph import Edge
from kiqdoctor.probes.code.ruby.classes import Class, Classes, Method
from kiqdoctor.probes.code.ruby.naming import CONSTANTS, LONGEST
from kiqdoctor.probes.tree.ruby import text

if TYPE_CHECKING:
    from tree_sitter import Node


def edges(classes: Classes, method: Method) -> Iterator[Edge]:
    """The methods that a method runs."""
    for sent in method.calls:
        name = sent.name.rpartition(".")[2]
        cls, singleton = _receiver(classes, sent.node, method)
        answers = _answers(classes, cls, name, singleton=singleton)
        yield from (Edge(to, method.at(sent.node), called=True) for to in answers)
    for word, where in method.words.items() if method.owner is not None else ():
        own = _answers(classes, method.owner, word, singleton=_is_singleton(method))
        yield from (Edge(to, where, called=True) for to in own)


def _answers(classes: Classes, cls: Class | None, name: str, *, singleton: bool) -> Iterator[Method]:
    if cls is not None and name == "new":
        found = classes.method(cls, "initialize", singleton=False)
    elif cls is not None:
        found = classes.method(cls, name, singleton=singleton) or classes.top.get(name)
    else:
        found = None
    if found is not None:
        yield found


def _receiver(classes: Classes, node: "Node", method: Method) -> tuple[Class | None, bool]:
    """Whose method is called, and whether the class itself is asked: ``ImageTool.run``, ``ImageTool.new(x).run``."""
    receiver = node.child_by_field_name("receiver")
    if receiver is None or receiver.type == "self":
        return method.owner, _is_singleton(method)
    called = False
    for _ in range(LONGEST):
        if receiver is None or receiver.type != "call":
            break
        called = True
        if receiver.child_by_field_name("receiver") is None and text(receiver.child_by_field_name("method")) == "new":
            return method.owner, False
        receiver = receiver.child_by_field_name("receiver")
    if receiver is None or receiver.type not in CONSTANTS:
        return None, False
    return classes.find(text(receiver), method.owner.name if method.owner is not None else ""), not called


def _is_singleton(method: Method) -> bool:
    return method.owner is not None and not method.body and f"{method.owner.name}." in method.name
