"""How queues and schedulers are handed any function, which makes a job of it: RQ, APScheduler, tables of django-q."""

import ast
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from kiqdoctor.probes.code.graph import Edge
from kiqdoctor.probes.code.python.frameworks import (
    CALLBACKS,
    FUNCTION,
    MADE,
    OWN_BASES,
    QUEUES,
    RUNS,
    SCHEDULES,
    TIMED,
    TIMERS,
    library_of,
)
from kiqdoctor.probes.code.python.members import dicts, looped
from kiqdoctor.probes.code.python.module import Function
from kiqdoctor.probes.code.python.names import Names
from kiqdoctor.probes.code.python.registered import Registered, made_of
from kiqdoctor.records import dataclass

THREAD: Final = "Thread"
ELSEWHERE: Final = {
    **dict.fromkeys(("partial", "to_thread", "run_sync", "run_in_threadpool", "submit"), 0),
    "run_in_executor": 1,
}
"""Functions that call a function with what follows it, and where it stands."""
COLOURS: Final = frozenset({"sync_to_async()", "async_to_sync()"})
"""What makes a function of the other kind of the one that it is given."""
ROUNDS: Final = 4  # functions that hand on to functions that hand on to a queue


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
        return self.verbs.keys() | {one.rpartition(".")[2] for one in self.made} | ELSEWHERE.keys() | COLOURS


RQ: Final = Hander("rq", QUEUES, SCHEDULES, MADE)
TIMER: Final = Hander("apscheduler", TIMERS, TIMED, {})
TABLES: Final = Hander("django_q", frozenset({"django_q"}), {}, {})
HANDERS: Final = (RQ, TIMER, TABLES)


@dataclass(frozen=True, slots=True)
class Handed:
    """``on``: the application's own functions that hand on what they are given: where it stands, how it is called."""

    by: Hander
    on: Mapping[Function, tuple[int, str]]


def enqueued(names: Names, by: Hander) -> Iterator[Registered]:
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
            ones = [] if given is None else [(given, unit), *looped(names, unit, given)]
            made = [found for one, where in ones for found in made_of(names, where, one, by.library)]
            _hand_over(names, unit, call, made)
            yield from made
            if by is RQ:
                yield from _left_open(names, unit, given) if isinstance(given, ast.Attribute) else ()
                yield from _after(names, unit, call) if given is not None else ()
        if len(handing) == before:
            break
        todo = [*_asking(names, {THREAD, *(one.name.rpartition(".")[2] for one in handing)})]
    for unit in names.units:
        yield from _in_tables(names, unit, by)


def _hand_over(names: Names, unit: Function, call: ast.Call, made: list[Registered]) -> None:
    """Functions among the arguments of what is enqueued: the job calls them."""
    told = next((one.value for one in call.keywords if one.arg == "args"), None)
    for node in told.elts if made and isinstance(told, ast.Tuple | ast.List) else ():
        dotted = unit.module.dotted(node, unit) if isinstance(node, ast.Name | ast.Attribute) else ""
        for to in names.targets(dotted) if names.resolved(dotted) in names.functions else ():
            for one in made:
                one.function.edges.append(Edge(to, one.function.begin, called=True))


def _after(names: Names, unit: Function, call: ast.Call) -> Iterator[Registered]:
    """``on_failure=f`` or ``on_failure=Callback(f)`` of an enqueue, which the worker runs after the job."""
    for word in call.keywords:
        node = word.value.args[0] if isinstance(word.value, ast.Call) and word.value.args else word.value
        yield from made_of(names, unit, node, RQ.library) if word.arg in CALLBACKS else ()


def _left_open(names: Names, unit: Function, given: ast.Attribute) -> Iterator[Registered]:
    """``task.run`` of any of the application's tasks; ``self.func`` and ``told.func`` of what constructors are told."""
    dotted = unit.module.dotted(given, unit)
    if given.attr in RUNS and not names.targets(dotted):
        bases = (one for one in names.classes if one.rpartition(".")[2] in OWN_BASES)
        for base in bases if not dotted or not names.own(names.resolved(dotted)) else ():
            runs = (to for one in names.below(base) for to in names.targets(f"{one}().{given.attr}"))
            yield from (Registered(to.full, to, "rq") for to in runs if not names.is_left(to))
    if unit.owner and isinstance(given.value, ast.Name) and given.value.id == "self":
        yield from _told(names, unit.module.full(unit.owner), given.attr)
    elif isinstance(given.value, ast.Name) and (kind := unit.types.get(given.value.id, "")).endswith("()"):
        cls = names.resolved(kind.removesuffix("()"))
        yield from _told(names, cls, given.attr) if cls in names.classes else ()


def _fields(names: Names, cls: str) -> list[str]:
    """What a constructor is told by place: its parameters, else what the class annotates, as a dataclass does."""
    for function in names.targets(f"{cls}.__init__"):
        if isinstance(function.node, ast.FunctionDef):
            return [one.arg for one in function.node.args.args][1:]
    body = names.classes[cls][1].body
    return [one.target.id for one in body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)]


def _told(names: Names, cls: str, word: str) -> Iterator[Registered]:
    """What constructors of a class and of those below it are told by a keyword, or by the place of that name."""
    family = {cls, *names.below(cls)}
    fields = _fields(names, cls)
    place = fields.index(word) if word in fields else None
    for unit in names.units:
        for call, dotted in unit.calls:
            named = [one.value for one in call.keywords if one.arg == word]
            named = named or (call.args[place : place + 1] if place is not None else [])
            own = named and unit.owner and unit.module.full(unit.owner) in family
            if named and (names.resolved(dotted).removesuffix("()") in family or (own and _is_super(call))):
                yield from made_of(names, unit, named[0], "rq")


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
    call = _bared(call, dotted)
    dotted = where.module.dotted(call.func, where)
    if dotted.rpartition(".")[2] == THREAD:
        call = _in_thread(call)
        dotted = where.module.dotted(call.func, where)
    if (place := known.by.made.get(names.resolved(dotted))) is not None:
        return given_at(call, place)
    given = handed(call, dotted, known.by.verbs)
    if given is not None and _is_queue(names, where, dotted, known.by):
        return given
    for function in names.targets(dotted) if known.on and dotted else ():
        place, word = known.on.get(function, (len(call.args), ""))
        named = [one.value for one in call.keywords if word and one.arg == word]
        if named or len(call.args) > place:
            return named[0] if named else call.args[place]
    return None


def _bared(call: ast.Call, dotted: str) -> ast.Call:
    """``q.enqueue(f)`` of ``partial(q.enqueue, f)``, ``to_thread(q.enqueue, f)``, ``sync_to_async(q.enqueue)(f)``."""
    verb, given = None, call.args
    inner = call.func
    if isinstance(inner, ast.Call) and len(inner.args) == 1 and dotted.rpartition(".")[2] in COLOURS:
        verb = inner.args[0]
    elif (place := ELSEWHERE.get(dotted.rpartition(".")[2] or getattr(inner, "attr", ""))) is not None:
        verb, given = (call.args[place], call.args[place + 1 :]) if len(call.args) > place else (None, [])
    return ast.copy_location(ast.Call(verb, given, call.keywords), call) if isinstance(verb, ast.Attribute) else call


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


def _is_queue(names: Names, where: Function, dotted: str, by: Hander) -> bool:
    """Whether what is asked to enqueue may be the library's: nobody knows it, it is one, or its class inherits one.

    What the application holds under a name of its own, and nobody knows, may be in a module that imports the library.
    """
    library = by.library
    name = names.resolved(dotted)
    if not names.own(name):
        return not name or library_of(name) in {library, ""}
    owner = name.rpartition(".")[0]
    if owner.endswith("()") and (made := names.annotated(owner)):
        return library_of(made) == library
    plain = owner.replace("()", "")
    if any(library_of(one) == library for one in names.above(plain)):
        return True
    unknown = plain not in names.classes and plain not in names.functions and not names.targets(dotted)
    return unknown and not where.module.packages.isdisjoint(by.packages)


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
    for value in dicts(unit):
        for key, node in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and key.value in FUNCTION:
                yield from made_of(names, unit, node, by.library)


def handed(call: ast.Call, dotted: str, verbs: Mapping[str, int] = SCHEDULES) -> ast.expr | None:
    """The function that a call with one of these verbs is handed, by position or as ``func=``."""
    verb = dotted.rpartition(".")[2] if dotted else getattr(call.func, "attr", "")
    return given_at(call, verbs[verb]) if verb in verbs else None


def given_at(call: ast.Call, place: int) -> ast.expr | None:
    """What stands in this place, or is named as a function."""
    named = next((one.value for one in call.keywords if one.arg in FUNCTION), None)
    return call.args[place] if named is None and len(call.args) > place else named
