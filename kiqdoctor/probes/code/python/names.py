"""All modules of the application, and what a name of one stands for in another."""

import ast
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from kiqdoctor.doctor.facts.code import Argument
from kiqdoctor.probes.code.python.arguments import arguments
from kiqdoctor.probes.code.python.module import BUILTINS, Function, Load, Module
from kiqdoctor.probes.code.spans import Span

MOST_BELOW: Final = 20  # descendants that may define what a class leaves to them
MOST_STEPS: Final = 6  # names that lead to names, classes that inherit from classes
SAFE: Final = frozenset(
    {
        "boto3.client",
        "confluent_kafka.Consumer",
        "confluent_kafka.Producer",
        "confluent_kafka.admin.AdminClient",
        "contextvars.ContextVar",
        "httpx.Client",
        "kafka.KafkaProducer",
        "psycopg2.pool.ThreadedConnectionPool",
        "psycopg_pool.ConnectionPool",
        "pymongo.MongoClient",
        "redis.BlockingConnectionPool",
        "redis.ConnectionPool",
        "redis.Redis",
        "redis.Redis.from_url",
        "redis.StrictRedis",
        "redis.from_url",
        "sqlalchemy.create_engine",
        "sqlalchemy.orm.scoped_session",
        "sqlalchemy.orm.sessionmaker",
        "threading.local",
    }
)
"""Builders of what threads may share, by their projects' own documentation."""
LOCKS: Final = frozenset(
    f"threading.{name}()" for name in ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition")
)


class Names:
    """The application's modules; what names lead to is looked up once each."""

    def __init__(self, modules: list[Module]) -> None:
        self.modules = modules
        self._by_name: dict[str, Module] = {}
        for module in modules:
            self._by_name.setdefault(module.name, module)
        self.units = [unit for module in modules for unit in module.units]
        self.functions = {unit.full: unit for module in modules for unit in module.functions.values()}
        self.methods = {unit.name.rpartition(".")[2] for unit in self.functions.values() if unit.owner}
        self.properties = {
            unit.name.rpartition(".")[2] for unit in self.functions.values() if unit.owner and is_property(unit)
        }
        self.classes = {
            module.full(name): (module, node) for module in modules for name, node in module.classes.items()
        }
        self.held = {module.full(name): (module, value) for module in modules for name, value in module.held.items()}
        self._first = {name.partition(".")[0] for name in self._by_name}
        self._packages = {name for module in modules for name in module.packages}
        self._instances = self._everybodys_objects()
        self._ways: dict[str, tuple[str, ...]] = {}
        self._own: dict[str, bool] = {}
        self._above: dict[str, tuple[str, ...]] = {}
        self._inner: dict[Function, list[Function]] | None = None
        self._below: dict[str, list[str]] | None = None
        self._shared: dict[str, str] = {}
        self._targets: dict[str, tuple[Function, ...]] = {}
        self._read: dict[str, tuple[Function, ...]] = {}

    def imports(self, *packages: str) -> bool:
        """Whether any module imports one of these packages."""
        return not self._packages.isdisjoint(packages)

    def own(self, dotted: str) -> bool:
        """Whether a name is the application's."""
        known = self._own.get(dotted)
        if known is None:
            found = self._may_be_own(dotted) and any(name in self._by_name for name in beginnings(dotted))
            known = self._own[dotted] = found
        return known

    def _may_be_own(self, dotted: str) -> bool:
        """False where a name begins like no module of the application: most do, and no part of them is looked up."""
        return dotted.partition(".")[0].removesuffix("()") in self._first

    def outside(self, dotted: str) -> bool:
        """Whether it is some package's: neither the application's nor Python's own."""
        return bool(dotted) and not self.own(dotted) and dotted.partition(".")[0].removesuffix("()") not in BUILTINS

    def resolved(self, dotted: str) -> str:
        """Names that stand for others, followed: ``jobs.repo.save`` -> ``store.Repo().save``."""
        return self.steps(dotted)[-1]

    def steps(self, dotted: str) -> tuple[str, ...]:
        """A name, and each that it stands for on the way to what it is resolved to."""
        known = self._ways.get(dotted)
        if known is None:
            known = self._ways[dotted] = tuple(self._followed(dotted))
        return known

    def _followed(self, dotted: str) -> Iterator[str]:
        yield dotted
        for _ in range(MOST_STEPS):
            further = self._step(dotted)
            if further == dotted:
                return
            yield (dotted := further)

    def spelt(self, node: ast.expr, function: Function) -> str:
        """What an expression in a function is called from outside, with names that stand for others followed."""
        return self.resolved(function.module.dotted(node, function))

    def called(self, call: ast.Call, dotted: str) -> str:
        """What is called, from outside; ``?.get`` of an object that nobody knows, "" of Python's own."""
        unknown = f"?.{call.func.attr}" if isinstance(call.func, ast.Attribute) else ""
        name = self.resolved(dotted) or unknown
        return "" if name in BUILTINS else name

    def arguments(self, function: Function, call: ast.Call) -> tuple[Argument, ...]:
        """All of them, in order; of ``**options`` what the mapping says that it names."""
        if any(map(_is_constant, call.args)) or any(_is_constant(one.value) for one in call.keywords):
            call = ast.Call(
                call.func,
                [self._number(function, node) for node in call.args],
                [ast.keyword(one.arg, self._number(function, one.value)) for one in call.keywords],
            )
        return arguments(call, lambda node: self.spelt(node, function), lambda node: self._spread(function, node))

    def _number(self, function: Function, node: ast.expr) -> ast.expr:
        """The number that a constant's name stands for; any other as it is."""
        if not _is_constant(node):
            return node
        value, _ = self.valued(function, node)
        return value if isinstance(value, ast.Constant) and isinstance(value.value, int | float) else node

    def _spread(self, function: Function, node: ast.expr) -> list[ast.keyword]:
        """What a mapping hands on, where its own text says all of it; else nothing."""
        value, _ = self.valued(function, node)
        if isinstance(value, ast.Call) and function.module.dotted(value, function) == "dict()" and not value.args:
            return value.keywords if all(one.arg for one in value.keywords) else []
        pairs = zip(value.keys, value.values, strict=True) if isinstance(value, ast.Dict) else ()
        found = [(key.value if isinstance(key, ast.Constant) else None, one) for key, one in pairs]
        named = [ast.keyword(name, one) for name, one in found if isinstance(name, str)]
        return named if len(named) == len(found) else []

    def valued(self, function: Function, node: ast.expr) -> tuple[ast.expr, Function]:
        """The expression that a name stands for, with where that stands; the node itself where nobody knows."""
        for _ in range(MOST_STEPS):
            local = function.values.get(node.id) if isinstance(node, ast.Name) else None
            key = self.held_as(function.module.dotted(node, function)) if isinstance(node, Load) else ""
            if local is not None and local is not node:
                node = local
            elif key:
                module, node = self.held[key]
                function = module.body
            else:
                break
        return node, function

    def locked(self, function: Function) -> list[Span]:
        """The parts of a function that hold a lock."""
        spans = [
            function.span(one)
            for one in function.withs
            if any(self.spelt(item.context_expr, function) in LOCKS for item in one.items)
        ]
        return spans + taken(function, lambda lock: self.spelt(lock, function) in LOCKS)

    def _step(self, dotted: str) -> str:
        if not self._may_be_own(dotted):
            return dotted
        for head in reversed([*beginnings(dotted)]):
            rest = dotted[len(head) :]
            owner, _, last = head.rpartition(".")
            plain = last.removesuffix("()")
            module = self._by_name.get(owner)
            if module is not None and plain in module.body.aliases:
                return module.body.aliases[plain] + last[len(plain) :] + rest
            if module is not None and module.stars and not module.defines(plain):
                star = self._starred(module, plain, MOST_STEPS)
                if star:
                    return f"{star}.{last}{rest}"
            built = self._held(head)
            if built and built != head:
                return built + rest
            if module is not None and (plain in module.functions or plain in module.classes):
                break  # a package may export what is called as one of its modules is
        return dotted

    def _starred(self, module: Module, plain: str, steps: int) -> str:
        """The module of the application that ``from ... import *`` takes a name from."""
        for star in module.stars if steps and f"{module.name}.{plain}" not in self._by_name else ():
            other = self._by_name.get(star)
            if other is not None and other is not module:
                if other.defines(plain):
                    return star
                further = self._starred(other, plain, steps - 1)
                if further:
                    return further
        return ""

    def _held(self, name: str) -> str:
        """What a global or cached name holds; what a class's attribute is another name of."""
        called = name.endswith("()") and name not in self.held
        key = self.held_as(name.removesuffix("()") if called else name)
        if not key:
            return ""
        holder, value = self.held[key]
        if (key != name or called) and not isinstance(value, Load):
            made = self.resolved(holder.dotted(value)) if isinstance(value, ast.Call) else ""
            if called:
                return f"{made}()" if made.endswith("()") and self.outside(made) else ""
            return made if made.endswith("()") and self.own(made) else ""
        return holder.dotted(value) + ("()" if called else "")

    def targets(self, dotted: str) -> tuple[Function, ...]:
        """The application's function behind a name: itself, a class's constructor, a method of an object.

        What a factory made is no mention of the factory: ``repo = make()`` runs ``make`` when its module is loaded.
        """
        known = self._targets.get(dotted)
        if known is None:
            full = self.resolved(dotted)
            found = self._target(full) if self._may_be_own(full) and not full.endswith("()") else None
            known = self._targets[dotted] = () if found is None else (found,)
        return known

    def read(self, dotted: str) -> tuple[Function, ...]:
        """What runs where an attribute is only read: ``Repo().db`` of ``Repo().db.c.find``."""
        known = self._read.get(dotted)
        if known is None:
            known = self._read[dotted] = tuple(self._properties(dotted)) if self._may_be_own(dotted) else ()
        return known

    def _properties(self, dotted: str) -> Iterator[Function]:
        for head in beginnings(dotted):
            if head.rpartition(".")[2] in self.properties:
                yield from filter(is_property, self.targets(head))

    def _target(self, full: str) -> Function | None:
        for _ in range(MOST_STEPS):
            plain = full.replace("()", "")
            found = self._method(plain) or self._method(f"{plain}.__init__")
            further = self.resolved(self._returned(full)) if found is None else ""
            if not further or further == full:
                return found
            full = further
        return None

    def _returned(self, full: str) -> str:
        """The name with what a function of the application returns in place of its call: ``make().run``."""
        for head in beginnings(full):
            function = self._method(head.removesuffix("()").replace("()", "")) if head.endswith("()") else None
            if function is not None and (made := self._makes(function)):
                return made + full[len(head) :]
        return ""

    def _makes(self, function: Function) -> str:
        """What a function returns, by its annotation, or where all that it returns is called the same."""
        node = function.node
        if not isinstance(node, ast.Module) and node.returns is not None:
            name = function.module.annotated(node.returns, function.outer)
            if name and self.own(name):
                return f"{name}()"
        made = {function.module.dotted(value, function) for value in function.returns}
        return made.pop() if len(made) == 1 else ""

    def annotated(self, dotted: str) -> str:
        """The class that the application's function is annotated to return, where a name is a call of it."""
        function = self._method(dotted.removesuffix("()").replace("()", ""))
        if function is None or isinstance(function.node, ast.Module) or function.node.returns is None:
            return ""
        return self.resolved(function.module.annotated(function.node.returns, function.outer))

    def over(self, function: Function, name: str) -> tuple[Function, ...]:
        """What ``super().name`` runs in a method."""
        above = self.above(function.module.full(function.owner)) if function.owner else ()
        found = (self.functions[key] for one in above if (key := f"{one}.{name}") in self.functions)
        return tuple(islice(found, 1))

    def overriding(self, function: Function, dotted: str) -> Iterator[Function]:
        """What classes below a method's own define of what it leaves to them: ``self.hook()``."""
        head = f"{function.module.full(function.owner)}()." if function.owner else ""
        name = dotted.removeprefix(head) if head and dotted.startswith(head) else ""
        if name and "." not in name and "()" not in name and all(self.is_left(one) for one in self.targets(dotted)):
            below = self.below(function.module.full(function.owner))[:MOST_BELOW]
            yield from (self.functions[key] for one in below if (key := f"{one}.{name}") in self.functions)

    @staticmethod
    def is_left(function: Function) -> bool:
        """Whether a method does nothing but to say that those below define it."""
        if isinstance(function.node, ast.Module):
            return False
        statements = [
            one for one in function.node.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
        ]
        return all(isinstance(one, ast.Pass | ast.Raise) for one in statements)

    def wrappers(self, function: Function) -> Iterator[Function]:
        """What the application's own decorators put around a function, which runs whenever it does."""
        for decorator in function.decorators:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            for own in self.targets(function.module.dotted(called, function.outer)):
                yield from self._innermost(own)

    def _innermost(self, function: Function) -> Iterator[Function]:
        todo = [*self.inner(function)]
        for one in todo:
            within = self.inner(one)
            todo += within
            if not within:
                yield one

    def inner(self, function: Function) -> list[Function]:
        """The functions that stand in a function."""
        if self._inner is None:
            self._inner = {}
            for unit in self.units:
                if unit.outer is not None and unit.outer.name:
                    self._inner.setdefault(unit.outer, []).append(unit)
        return self._inner.get(function, [])

    def _method(self, plain: str) -> Function | None:
        if plain in self.functions:
            return self.functions[plain]
        owner, _, last = plain.rpartition(".")
        inherited = (f"{one}.{last}" for one in self.above(owner))
        return next((self.functions[name] for name in inherited if name in self.functions), None)

    def above(self, cls: str) -> tuple[str, ...]:
        """What a class of the application inherits from, nearest first; of the outside's classes their names."""
        known = self._above.get(cls)
        if known is None:
            self._above[cls] = ()  # what it inherits from may be named by what inherits from it
            known = self._above[cls] = tuple(self._bases(cls))
        return known

    def _bases(self, cls: str) -> Iterator[str]:
        todo, seen = [cls], {cls}
        for one in todo:
            if one not in self.classes or len(seen) > MOST_STEPS**2:
                continue
            module, node = self.classes[one]
            bases = [self.resolved(module.dotted(base)) for base in node.bases]
            new = [base for base in bases if base and base not in seen]
            seen |= {*new}
            todo += new
            yield from new

    def below(self, cls: str) -> tuple[str, ...]:
        """The application's classes that inherit from one, however far."""
        if self._below is None:
            self._below = {}
            for one in self.classes:
                for above in self.above(one):
                    self._below.setdefault(above, []).append(one)
        return tuple(self._below.get(cls, ()))

    def shared(self, dotted: str) -> str:
        """What an object that threads share was built by; "" for what is not shared, or may be."""
        known = self._shared.get(dotted)
        if known is None:
            heads = reversed([*beginnings(dotted)]) if self._may_be_own(dotted) else ()
            known = self._shared[dotted] = next(filter(None, map(self._made_by, heads)), "")
        return known

    def _made_by(self, name: str) -> str:
        key = self.held_as(name)
        if not key or not self.everybodys(key):
            return ""
        full = self.resolved(key)
        for _ in range(MOST_STEPS):
            further = self.resolved(self._returned(full)) if self._may_be_own(full) else ""
            if not further or further == full:
                break
            full = further
        built = full.removesuffix("()")
        if "()" not in full or not self.outside(built.replace("()", "")):
            return ""
        return "" if built in SAFE else built

    def held_as(self, name: str) -> str:
        """The name under which it is held: an object's attribute may be its class's, or one that its class inherits."""
        plain = name.replace("()", "")
        for key in (name, plain):
            if key in self.held:
                return key
        owner, _, last = plain.rpartition(".")
        return next((key for one in self.above(owner) if (key := f"{one}.{last}") in self.held), "")

    def alone(self, dotted: str) -> bool:
        """Whether it is an object that nobody is known to share, or what that alone holds."""
        return "()" in dotted and not any(map(self.held_as, beginnings(dotted)))

    def everybodys(self, key: str) -> bool:
        """An attribute that a constructor sets is shared where the object is: in some module's globals.

        What it keeps of a parameter is, where one of those objects is told it.
        """
        owner, made, _ = key.partition("().")
        if not made:
            return True
        told = self.held[key][0].told.get(key.removeprefix(f"{self.held[key][0].name}."))
        return any(told is None or _gives(call, told) for call in self._instances.get(f"{owner}()", ()))

    def _everybodys_objects(self) -> dict[str, list[ast.Call]]:
        """What builds the objects that modules and classes hold, and those that such objects hold."""
        found: dict[str, list[ast.Call]] = {}
        todo = [(key, holder.dotted(value), value) for key, (holder, value) in self.held.items()]
        for _ in range(MOST_STEPS):
            rest = []
            for key, built, value in todo:
                owner, made, _ = key.partition("().")
                if made and f"{owner}()" not in found:
                    rest.append((key, built, value))
                elif isinstance(value, ast.Call):
                    found.setdefault(built, []).append(value)
            if len(rest) == len(todo):
                break
            todo = rest
        return found


def _gives(call: ast.Call, told: tuple[int, str]) -> bool:
    """Whether a call gives a parameter anything, by its place or its name."""
    place, name = told
    spread = any(isinstance(one, ast.Starred) for one in call.args[: place + 1])
    return spread or len(call.args) > place or any(one.arg in {name, None} for one in call.keywords)


def _is_constant(node: ast.expr) -> bool:
    """Whether it is a name in capitals."""
    return isinstance(node, ast.Name) and node.id.isupper()


def taken(function: Function, is_lock: Callable[[ast.expr], bool]) -> list[Span]:
    """From where a function takes a lock by ``acquire`` to where it last lets it go."""
    asked = [call for call, _ in function.calls if isinstance(call.func, ast.Attribute)]
    spans: list[Span] = []
    for call in asked:
        func = call.func
        if isinstance(func, ast.Attribute) and func.attr == "acquire" and is_lock(func.value):
            lock, begin = ast.unparse(func.value), function.at(call)
            ends = [
                function.at(one)
                for one in asked
                if isinstance(one.func, ast.Attribute)
                and one.func.attr == "release"
                and ast.unparse(one.func.value) == lock
            ]
            spans += [(begin, max(ends))] if ends and max(ends) > begin else []
    return spans


def is_property(function: Function) -> bool:
    """Whether it runs where its name is only read."""
    return any(
        getattr(one, "attr", getattr(one, "id", "")) in {"property", "cached_property"} for one in function.decorators
    )


def beginnings(dotted: str) -> Iterator[str]:
    """``a``, ``a.b`` and ``a.b().c`` of ``a.b().c``."""
    end = dotted.find(".")
    while end >= 0:
        yield dotted[:end]
        end = dotted.find(".", end + 1)
    yield dotted
