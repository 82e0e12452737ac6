"""Which of the application's functions are jobs, by every way in which a library is told so."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from kiqdoctor.probes.code.graph import Edge
from kiqdoctor.probes.code.python.decorating import PARTIALS, Decorators
from kiqdoctor.probes.code.python.frameworks import (
    BASES,
    CALLBACKS,
    DECORATORS,
    FUNCTION,
    HANDS,
    LIFECYCLE,
    LISTS,
    MADE,
    OWN_BASES,
    OWN_REGISTRY,
    QUEUES,
    REGISTRY,
    RUNS,
    SCHEDULES,
    TIMED,
    TIMERS,
    library_of,
)
from kiqdoctor.probes.code.python.members import members
from kiqdoctor.probes.code.python.module import Function
from kiqdoctor.probes.code.python.names import Names
from kiqdoctor.probes.code.python.registering import given_at, handed
from kiqdoctor.records import dataclass

THREAD: Final = "Thread"
LEAST: Final = 4  # letters of a name's beginning
ROUNDS: Final = 4  # functions that hand on to functions that hand on to a queue
LONGEST: Final = 200  # functions in one list


@dataclass(frozen=True, slots=True)
class Registered:
    """A function that runs as a job; ``symbol``: what is enqueued, the function or its class, from outside.

    ``held``: the global that what was made of it is held by.
    """

    symbol: str
    function: Function
    library: str
    queue: str = ""
    held: str = ""


@dataclass(frozen=True, slots=True)
class Hander:
    """A library that runs any function that it is handed: by which verbs, and by what is built first."""

    library: str
    packages: AbstractSet[str]
    verbs: Mapping[str, int]
    made: Mapping[str, int]

    @property
    def words(self) -> AbstractSet[str]:
        """The last words of all calls that may hand it one."""
        return self.verbs.keys() | {one.rpartition(".")[2] for one in self.made} | {"partial"}


RQ: Final = Hander("rq", QUEUES, SCHEDULES, MADE)
TIMER: Final = Hander("apscheduler", TIMERS, TIMED, {})
TABLES: Final = Hander("django_q", frozenset({"django_q"}), {}, {})


@dataclass(frozen=True, slots=True)
class Handed:
    """``on``: the application's own functions that hand on what they are given: where it stands, how it is called."""

    by: Hander
    on: Mapping[Function, tuple[int, str]]


def jobs(names: Names) -> list[Registered]:
    """All of them, once each."""
    decorators = Decorators(names)
    found = (
        *_decorated(names, decorators),
        *_classes(names),
        *_called(names, decorators),
        *(one for by in (RQ, TIMER, TABLES) for one in _enqueued(names, by)),
        *_listed(names),
    )
    return list({one.symbol: one for one in reversed(found)}.values())[::-1]


def _decorated(names: Names, decorators: Decorators) -> Iterator[Registered]:
    for function in names.functions.values():
        for decorator in function.decorators:
            library = decorators.library(decorator, function.outer or function.module.body)
            if library is not None and not decorators.wraps(function):
                _surround(names, function, decorator)
                yield Registered(function.full, function, library, _queue(decorator, library))


def _surround(names: Names, function: Function, decorator: ast.expr) -> None:
    """``base=``: what Celery calls around the job."""
    for given in decorator.keywords if isinstance(decorator, ast.Call) else ():
        base = names.spelt(given.value, function.outer or function) if given.arg == "base" else ""
        for name in LIFECYCLE if base else ():
            function.edges += [Edge(to, function.begin, called=True) for to in names.targets(f"{base}().{name}")]


def _queue(decorator: ast.expr, library: str) -> str:
    """The queue that a decorator names in its own text."""
    if not isinstance(decorator, ast.Call):
        return ""
    named = [one.value for one in decorator.keywords if one.arg in {"queue", "queue_name"}]
    named += decorator.args[:1] if library == "rq" else []
    return next((one.value for one in named if isinstance(one, ast.Constant) and isinstance(one.value, str)), "")


def _classes(names: Names) -> Iterator[Registered]:
    for full in names.classes:
        bases = (one for one in names.above(full) if one.rpartition(".")[2] in BASES)
        library = next((found for one in bases if (found := library_of(one))), "")
        if library:
            yield from _of_class(names, full, library)


def _of_class(names: Names, full: str, library: str) -> Iterator[Registered]:
    """What runs of a job's class, with what is called around it."""
    runs = [function for name in RUNS for function in names.targets(f"{full}().{name}")]
    if runs:
        around = [to for name in LIFECYCLE[:-1] for to in names.targets(f"{full}().{name}")]
        runs[0].edges += [Edge(to, runs[0].begin, called=True) for to in around if to is not runs[0]]
        yield Registered(full, runs[0], library)


def _called(names: Names, decorators: Decorators) -> Iterator[Registered]:
    """``dramatiq.actor(f)``, ``huey.task()(f)``, ``app.register_task(X())``, ``async_task("shop.f")``."""
    for unit in names.units:
        for call, dotted in unit.calls:
            if not call.args and not call.keywords:
                continue
            last = (dotted.removesuffix("()").rpartition(".")[2] or getattr(_callee(call), "attr", "")).removesuffix(
                "()"
            )
            library = _handed_by(names, call, dotted) if last in _HANDED and _may_hand(unit, last) else None
            if library is None and last in DECORATORS and call.args:
                library = decorators.library(call.func, unit)
            if library is not None:
                held = _held(unit, call)
                given = _given(names, unit, _first(call), library)
                yield from (replace(one, held=held) for one in given if not decorators.wraps(one.function))
            elif last in REGISTRY:
                only = decorators.only if last in OWN_REGISTRY and names.own(dotted) else ""
                for node in _each(names, unit, call.args):
                    yield from _registered(names, unit, node, only)


_HANDED: Final = frozenset(name.rpartition(".")[2] for name in HANDS)
_ALSO_LISTS: Final = {"append": "django_q"}
"""Words that everybody uses, and the package without which they hand nobody a function."""
OF_A_SCHEDULE: Final = "schedule_type"  # django-q's, of records that a migration makes without its class


def _handed_by(names: Names, call: ast.Call, dotted: str) -> str | None:
    """The library that this call hands a function to."""
    if any(one.arg == OF_A_SCHEDULE for one in call.keywords):
        return "django_q"
    return HANDS.get(names.resolved(dotted))


def _may_hand(unit: Function, word: str) -> bool:
    return word not in _ALSO_LISTS or _ALSO_LISTS[word] in unit.module.packages


def _held(unit: Function, call: ast.Call) -> str:
    """The global that holds what a call returned: ``clean`` of ``clean = dramatiq.actor(Clean())``."""
    made = (one for one in unit.bindings if one.value is call and not unit.name)
    return next((unit.module.full(one.target.id) for one in made if isinstance(one.target, ast.Name)), "")


def _each(names: Names, unit: Function, given: Iterable[ast.expr]) -> Iterator[ast.expr]:
    """Arguments; of ``*jobs`` what the list holds."""
    for one in given:
        value = names.valued(unit, one.value)[0] if isinstance(one, ast.Starred) else one
        yield from value.elts[:LONGEST] if isinstance(value, ast.List | ast.Tuple) else (value,)


def _callee(call: ast.Call) -> ast.expr:
    return call.func.func if isinstance(call.func, ast.Call) else call.func


def _first(call: ast.Call) -> ast.expr | None:
    """What is handed first, or by a keyword, among a record's defaults too."""
    named = {one.arg or "": one.value for one in call.keywords}
    if isinstance(more := named.get("defaults"), ast.Dict):
        pairs = zip(more.keys, more.values, strict=True)
        named |= {str(key.value): value for key, value in pairs if isinstance(key, ast.Constant)}
    return call.args[0] if call.args else next((named[one] for one in FUNCTION if one in named), None)


def _given(names: Names, unit: Function, node: ast.expr | None, library: str) -> Iterator[Registered]:
    """The job that a function, its dotted name, or what calls it makes."""
    node = _bare(names, unit, node)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        path = node.value.replace(":", ".")
        found = names.targets(path) if "." in path else ()
    elif isinstance(node, ast.Name | ast.Attribute):
        found = names.targets(unit.module.dotted(node, unit)) or _of_same_name(names, unit, node)
        found = found or (*_asked_for(names, unit, node),)
    elif isinstance(node, ast.Call) and (made := names.spelt(node.func, unit)) in names.classes:
        found = names.targets(f"{made}().__call__")
        yield from (Registered(made, function, library) for function in found)
        return
    else:
        found = ()
    for function in found:
        yield Registered(function.full, function, library)
        yield from _heirs(names, function, library)


def _bare(names: Names, unit: Function, node: ast.expr | None) -> ast.expr | None:
    """``f`` of ``partial(f, 1)`` and of ``lambda: f(1)``."""
    if isinstance(node, ast.Lambda) and isinstance(node.body, ast.Call):
        return node.body.func
    if isinstance(node, ast.Call) and node.args and names.spelt(node.func, unit) in PARTIALS:
        return node.args[0]
    return node


def _asked_for(names: Names, unit: Function, node: ast.expr) -> Iterator[Function]:
    """All that ``getattr(chats, f"send_to_{channel}")`` may be: a module's functions whose names begin so."""
    value = unit.values.get(node.id) if isinstance(node, ast.Name) else None
    called = isinstance(value, ast.Call) and unit.module.dotted(value.func, unit) == "getattr"
    name = value.args[1] if isinstance(value, ast.Call) and called and len(value.args) > 1 else None
    first = name.values[0] if isinstance(name, ast.JoinedStr) and name.values else None
    begin = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
    if isinstance(value, ast.Call) and len(begin) >= LEAST:
        head = f"{names.spelt(value.args[0], unit)}.{begin}"
        yield from (one for full, one in names.functions.items() if full.startswith(head) and "." not in one.name)


def _of_same_name(names: Names, unit: Function, node: ast.expr) -> tuple[Function, ...]:
    """``work`` of ``work = dramatiq.actor(work)``, which the assignment hides."""
    own = names.functions.get(unit.module.full(node.id)) if isinstance(node, ast.Name) else None
    return () if own is None else (own,)


def _heirs(names: Names, function: Function, library: str) -> Iterator[Registered]:
    """Jobs of an in-project base: a method of a class is handed over, and runs what each class below it defines."""
    if not function.owner:
        return
    base = function.module.full(function.owner)
    for full in names.below(base):
        runs = [one for name in RUNS for one in names.targets(f"{full}().{name}") if one is not function]
        if runs and runs[0].owner and runs[0].module.full(runs[0].owner) != base:
            yield Registered(full, runs[0], library)


def _registered(names: Names, unit: Function, node: ast.expr, only: str) -> Iterator[Registered]:
    """A class of jobs that is handed to an application of Celery's, or an object of it.

    ``only``: the library whose jobs the application's own register holds.
    """
    called = node.func if isinstance(node, ast.Call) else node
    full = names.spelt(called, unit)
    bases = names.above(full) if full in names.classes else ()
    library = next((found for one in bases if (found := library_of(one))), only if bases else "")
    if library:
        yield from _of_class(names, full, library)


def _enqueued(names: Names, by: Hander) -> Iterator[Registered]:
    """What a queue or scheduler is handed: any function, by whatever function of the application's own hands it on."""
    if not names.imports(*by.packages):
        return
    handing: dict[Function, tuple[int, str]] = {}
    todo = [*_asking(names, by.words)]
    for _ in range(ROUNDS):
        before = len(handing)
        for unit, call, dotted in todo:
            given = _handed_to_queue(names, unit, call, dotted, Handed(by, handing))
            if isinstance(given, ast.Name) and unit.name and given.id in unit.locals:
                place = _parameter(unit, given.id)
                if place is not None:
                    handing.setdefault(unit, (place, given.id))
            yield from _given(names, unit, given, by.library)
            if by is RQ:
                yield from _left_open(names, unit, given) if isinstance(given, ast.Attribute) else ()
                yield from _after(names, unit, call) if given is not None else ()
        if len(handing) == before:
            break
        todo = [*_asking(names, {THREAD, *(one.name.rpartition(".")[2] for one in handing)})]
    for unit in names.units:
        yield from _in_tables(names, unit, by)


def _after(names: Names, unit: Function, call: ast.Call) -> Iterator[Registered]:
    """``on_failure=f`` or ``on_failure=Callback(f)`` of an enqueue, which the worker runs after the job."""
    for word in call.keywords:
        node = word.value.args[0] if isinstance(word.value, ast.Call) and word.value.args else word.value
        yield from _given(names, unit, node, RQ.library) if word.arg in CALLBACKS else ()


def _left_open(names: Names, unit: Function, given: ast.Attribute) -> Iterator[Registered]:
    """``task.run`` of any of the application's tasks; ``self.func`` of what each task's constructor is told."""
    dotted = unit.module.dotted(given, unit)
    if given.attr in RUNS and not names.targets(dotted):
        bases = (one for one in names.classes if one.rpartition(".")[2] in OWN_BASES)
        for base in bases if not dotted or not names.own(names.resolved(dotted)) else ():
            runs = (to for one in names.below(base) for to in names.targets(f"{one}().{given.attr}"))
            yield from (Registered(to.full, to, "rq") for to in runs if not names.is_left(to))
    if unit.owner and isinstance(given.value, ast.Name) and given.value.id == "self":
        yield from _told(names, unit.module.full(unit.owner), given.attr)


def _told(names: Names, cls: str, word: str) -> Iterator[Registered]:
    """What constructors of a class and of those below it are told by a keyword."""
    family = {cls, *names.below(cls)}
    for unit in names.units:
        for call, dotted in unit.calls:
            named = [one.value for one in call.keywords if one.arg == word]
            own = named and unit.owner and unit.module.full(unit.owner) in family
            if named and (names.resolved(dotted).removesuffix("()") in family or (own and _is_super(call))):
                yield from _given(names, unit, named[0], "rq")


def _is_super(call: ast.Call) -> bool:
    """``super().__init__(...)``."""
    func = call.func
    over = func.value.func if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Call) else None
    return isinstance(over, ast.Name) and over.id == "super"


def _asking(names: Names, verbs: AbstractSet[str]) -> Iterator[tuple[Function, ast.Call, str]]:
    """Calls of what has one of these names."""
    for unit in names.units:
        for call, dotted in unit.calls:
            verb = dotted.rpartition(".")[2] if dotted else getattr(call.func, "attr", "")
            if verb in verbs:
                yield unit, call, dotted


def _handed_to_queue(names: Names, where: Function, call: ast.Call, dotted: str, known: Handed) -> ast.expr | None:
    if dotted in PARTIALS and call.args and isinstance(verb := call.args[0], ast.Attribute):
        call = ast.copy_location(ast.Call(verb, call.args[1:], call.keywords), call)
        dotted = where.module.dotted(verb, where)
    if dotted.rpartition(".")[2] == THREAD:
        call = _in_thread(call)
        dotted = where.module.dotted(call.func, where)
    if (place := known.by.made.get(names.resolved(dotted))) is not None:
        return given_at(call, place)
    given = handed(call, dotted, known.by.verbs)
    if given is not None and _is_queue(names, dotted, known.by.library):
        return given
    for function in names.targets(dotted) if known.on and dotted else ():
        place, word = known.on.get(function, (len(call.args), ""))
        named = [one.value for one in call.keywords if word and one.arg == word]
        if named or len(call.args) > place:
            return named[0] if named else call.args[place]
    return None


def _in_thread(call: ast.Call) -> ast.Call:
    """``put(f, 1)`` of ``Thread(target=put, args=(f, 1))``."""
    named = {one.arg: one.value for one in call.keywords}
    if (target := named.get("target")) is None:
        return call
    args, words = named.get("args"), named.get("kwargs")
    given = args.elts if isinstance(args, ast.List | ast.Tuple) else []
    pairs = zip(words.keys, words.values, strict=True) if isinstance(words, ast.Dict) else ()
    spelt = [ast.keyword(str(one.value), value) for one, value in pairs if isinstance(one, ast.Constant)]
    return ast.copy_location(ast.Call(target, given, spelt), call)


def _is_queue(names: Names, dotted: str, library: str) -> bool:
    """Whether what is asked to enqueue may be the library's: nobody knows it, it is one, or its class inherits one."""
    name = names.resolved(dotted)
    if not names.own(name):
        return not name or library_of(name) in {library, ""}
    owner = name.rpartition(".")[0]
    if owner.endswith("()") and (made := names.annotated(owner)):
        return library_of(made) == library
    return any(library_of(one) == library for one in names.above(owner.replace("()", "")))


def _parameter(function: Function, name: str) -> int | None:
    """Where a parameter stands among the arguments of a call; a method's first is its object."""
    if isinstance(function.node, ast.Module):
        return None
    given = [one.arg for one in (*function.node.args.posonlyargs, *function.node.args.args)]
    bound = bool(function.owner) and given[:1] in (["self"], ["cls"])
    return given.index(name) - bound if name in given else None


def _in_tables(names: Names, unit: Function, by: Hander) -> Iterator[Registered]:
    """``{"func": refresh, "interval": 60}``: what a scheduler is fed with."""
    if unit.module.packages.isdisjoint(by.packages):
        return
    for value in _dicts(unit):
        for key, node in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and key.value in FUNCTION:
                yield from _given(names, unit, node, by.library)


def _dicts(unit: Function) -> Iterator[ast.Dict]:
    added = (call.args[0] for call, _ in unit.calls if len(call.args) == 1 and isinstance(call.args[0], ast.Dict))
    for node in (*(one.value for one in unit.bindings if one.value is not None), *unit.returns, *added):
        stack: list[ast.expr | None] = [node]
        while stack:
            one = stack.pop()
            if isinstance(one, ast.Dict):
                yield one
                stack += one.values[:LONGEST]
            elif isinstance(one, ast.List | ast.Tuple):
                stack += one.elts[:LONGEST]


def _listed(names: Names) -> Iterator[Registered]:
    """``functions = [f, func(g)]`` of a worker's settings, in a class or a dictionary."""
    for unit in names.units:
        for binding in unit.bindings:
            name = getattr(binding.target, "id", "")
            if binding.owner and name in LISTS:
                yield from _of_list(names, unit, name, binding.value, binding.owner)
        for value in _dicts(unit) if not unit.module.packages.isdisjoint(("saq",)) else ():
            for key, node in zip(value.keys, value.values, strict=True):
                if isinstance(key, ast.Constant) and key.value in LISTS:
                    yield from _of_list(names, unit, str(key.value), node)
        for call, dotted in unit.calls if not unit.module.packages.isdisjoint(_LISTING) else ():
            if library_of(names.resolved(dotted)) in _LISTING:
                for word in call.keywords:
                    yield from _of_list(names, unit, word.arg, word.value) if word.arg in LISTS else ()


_LISTING: Final = frozenset({"arq", "saq", "litestar_saq"})
ARQ: Final = "WorkerSettings"  # a plain class, which need not import arq


def _of_list(names: Names, unit: Function, name: str, node: ast.expr | None, owner: str = "") -> Iterator[Registered]:
    libraries = [one for one in LISTS[name] if names.imports(one, f"litestar_{one}")]
    if not libraries and owner == ARQ:
        libraries = ["arq"]
    for one, where in members(names, unit, node) if libraries else ():
        called = _first(one) if isinstance(one, ast.Call) else one
        yield from _given(names, where, called, libraries[0])
