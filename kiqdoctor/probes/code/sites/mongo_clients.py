"""Where a client of MongoDB is built each time that something runs, and kept by nobody."""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Named
from kiqdoctor.doctor.facts.code.habits import MongoClients
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE, sites
from kiqdoctor.probes.tree.ruby import text
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from tree_sitter import Node

    from kiqdoctor.probes.code.index import Index
    from kiqdoctor.probes.code.python.module import Function
    from kiqdoctor.probes.code.ruby.classes import Method

MAKERS: Final = frozenset(
    {f"pymongo.{module}{name}" for module in ("", "mongo_client.") for name in ("MongoClient", "AsyncMongoClient")}
    | {"pymongo.asynchronous.mongo_client.AsyncMongoClient"}
    | {f"motor.{module}.AsyncIOMotorClient" for module in ("motor_asyncio", "core")}
    | {"motor.motor_tornado.MotorClient"}
)
IN_RUBY: Final = frozenset({"Mongo::Client.new", "Mongo::MongoClient.new"})
CACHES: Final = frozenset({"cache", "lru_cache", "cached_property", "cached", "singleton", "memoize"})
KEPT: Final = frozenset({"instance_variable", "class_variable", "global_variable", "constant"})


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def mongo_clients(tree: Tree) -> MongoClients:
    """All but those that a global, a class, a cache or an object beyond its constructor keeps."""
    return MongoClients(*sites(tree, _python, _ruby))


def _python(index: "Index", function: "Function") -> Iterator[Named]:
    if not function.name or any(_name(one) in CACHES for one in function.decorators):
        return
    named = ((call, index.names.resolved(dotted)) for call, dotted in function.calls)
    made = [(call, name) for call, name in named if name in MAKERS]
    kept = {id(part) for node in _kept(function) for part in ast.walk(node)} if made else set()
    for call, name in made:
        if id(call) not in kept:
            yield Named(function.number, *function.at(call), name)


def _name(decorator: ast.expr) -> str:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return getattr(called, "attr", getattr(called, "id", ""))


def _kept(function: "Function") -> Iterator[ast.expr]:
    """What is set to a global, to an attribute, or into a mapping; a constructor's attribute goes with its object."""
    for node in ast.walk(function.node):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, _ONE) else []
        for target in targets:
            value = getattr(node, "value", None)
            if value is not None and _keeps(function, target):
                yield value


_ONE: Final = (ast.AnnAssign, ast.NamedExpr)


def _keeps(function: "Function", target: ast.expr) -> bool:
    if isinstance(target, ast.Name):
        return target.id in function.declared
    if isinstance(target, ast.Attribute):
        own = isinstance(target.value, ast.Name) and target.value.id == "self"
        return not (own and function.name.endswith(".__init__"))
    return isinstance(target, ast.Subscript)


def _ruby(_: "Index", method: "Method") -> Iterator[Named]:
    if method.body:
        return
    for sent in method.calls:
        if sent.name in IN_RUBY and not _is_kept(sent.node, method):
            yield Named(method.number, *method.at(sent.node), sent.name)


def _is_kept(node: "Node", method: "Method") -> bool:
    """Whether it is set to what outlives the job: of an object's own variable only where a class is that object."""
    above = node.parent
    while above is not None and above != method.node:
        left = above.child_by_field_name("left") if "assignment" in above.type else None
        if left is not None and left.type in KEPT:
            return left.type != "instance_variable" or method.singleton or text(left).startswith("@@")
        above = above.parent
    return False
