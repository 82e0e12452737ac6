"""Kinds of sites: each one fact, whose sites point into the table of functions."""

from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from kiqdoctor.doctor.facts.code.table import Site
from kiqdoctor.doctor.facts.code.values import Encoding, Given
from kiqdoctor.records import dataclass

Kind = TypeVar("Kind", bound=Site)


@dataclass(frozen=True, slots=True)
class Sites(Generic[Kind]):
    """All sites of one kind, those that jobs lead to first; ``partial`` says what was left out."""

    sites: tuple[Kind, ...] = ()
    partial: str = ""


class Named(Site, frozen=True, omit_defaults=True, gc=False):
    """A site that one name tells."""

    name: str


class Shape(StrEnum):
    """What an argument is, as far as its text tells."""

    TEXT = "text"
    SYMBOL = "symbol"
    NUMBER = "number"
    FLAG = "flag"
    NONE = "none"
    NAME = "name"
    CALL = "call"
    LIST = "list"
    SET = "set"
    MAPPING = "mapping"
    FUNCTION = "function"
    OTHER = "other"


class Argument(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One argument: ``name`` is the keyword, "" by position, "*" and "**" what is spread.

    ``text``: a number, flag or symbol as written; the name of what is named or called, as it is called from outside,
    "?.name" of what nobody knows.
    Of other texts only the words that rules ask for: the rest may be secrets.
    """

    name: str
    shape: Shape
    text: str = ""


class Import(Site, frozen=True, omit_defaults=True, gc=False):
    """A name from outside the application: a ``statement`` that loads it, or its first use in a function.

    ``optional``: it may be missing, for an error of the statement is caught.
    """

    name: str
    statement: bool = False
    optional: bool = False


class Imports(Sites[Import]):
    """What the application takes from outside."""

    __slots__ = ()


class Call(Site, frozen=True, omit_defaults=True, gc=False):
    """A call of ``name``, spelt from outside: ``psycopg2.connect``, ``redis.Redis().pubsub``, ``Timeout.timeout``.

    "?" stands for an object that nobody knows. ``decorator``: it makes what the function's name stands for.
    """

    name: str
    arguments: tuple[Argument, ...] = ()
    decorator: bool = False


class Calls(Sites[Call]):
    """Every call."""

    __slots__ = ()


class Origin(StrEnum):
    """Where data comes from: the job's own arguments, a cache, the source itself, or elsewhere."""

    ARGUMENT = "the job's arguments"
    CACHE = "a cache"
    LITERAL = "the source itself"
    OTHER = "elsewhere"


class Deserialization(Call, frozen=True, omit_defaults=True, gc=False):
    """A call that may build any object from data. ``plain``: by what it is told it builds none but plain data."""

    origin: Origin = Origin.OTHER
    plain: bool = False


class Deserializations(Sites[Deserialization]):
    """All of them in functions that jobs lead to."""

    __slots__ = ()


class SharedUses(Sites[Named]):
    """Uses, under no lock, of objects that all threads hold in common, by what built them; of Ruby clients only."""

    __slots__ = ()


class Write(Site, frozen=True, omit_defaults=True, gc=False):
    """An attribute, item or global that is set, or an object that a method changes, where it is not the function's own.

    ``made_by``: what the object was built by, where threads share it. ``locked``: a lock is held. ``fixed``: it is set
    to what is the same for every job: a literal, the environment, the application's configuration.
    """

    name: str
    made_by: str = ""
    locked: bool = False
    fixed: bool = False


class Writes(Sites[Write]):
    """All of them."""

    __slots__ = ()


class BuiltAtLoad(Sites[Named]):
    """Objects that are built when files are loaded, by what builds them: a later fork inherits them.

    Of Ruby those of ``config/``.
    """

    __slots__ = ()


class Forks(Sites[Named]):
    """Calls by which the application's own code makes processes."""

    __slots__ = ()


class When(StrEnum):
    """How a job is enqueued."""

    NOW = "now"
    LATER = "later"
    BULK = "bulk"


class Enqueue(Site, frozen=True, omit_defaults=True, gc=False):
    """A job is handed to a queue. ``after_commit``: only once the open transaction has committed.

    ``job``: the class or function as in ``Code.jobs`` where it is indexed, else as written. ``given``: of what the job
    is handed all that is no plain text, number, list or mapping, as far as the source tells.
    """

    job: str
    verb: str
    when: When = When.NOW
    arguments: tuple[Argument, ...] = ()
    after_commit: bool = False
    given: tuple[Given, ...] = ()
    encoding: Encoding = Encoding.UNKNOWN


@dataclass(frozen=True, slots=True)
class Enqueues(Sites[Enqueue]):
    """All of them, of every library. ``lenient``: where Sidekiq is told to take what JSON cannot carry."""

    lenient: str = ""


class Booted(Site, frozen=True, omit_defaults=True, gc=False):
    """Something that happens while files are loaded: a job is enqueued (``job``), or a server asked by ``made_by``.

    ``through``: the functions that lead there from the file, as indices. ``loaded``: the application loads that file,
    as far as its imports and the files' names tell.
    """

    name: str
    job: str = ""
    made_by: str = ""
    through: tuple[int, ...] = ()
    loaded: bool = True


@dataclass(frozen=True, slots=True)
class AtBoot(Sites[Booted]):
    """All of them. ``hooks``: functions that run in a child after its fork."""

    hooks: tuple[int, ...] = ()


class Patch(Named, frozen=True, omit_defaults=True, gc=False):
    """A call in a module's body that replaces the standard library by greenlets' (``gevent.monkey.patch_all``).

    ``early``: what was imported before that keeps what is replaced, ``way``: the application's modules that lead to
    it. ``guarded``: a condition stands around it.
    """

    early: str = ""
    early_line: int = 0
    way: tuple[str, ...] = ()
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Patches(Sites[Patch]):
    """All of them. ``before``: the command or setting that patches before any of the application is loaded."""

    before: str = ""


class Transaction(Site, frozen=True, omit_defaults=True, gc=False):
    """Code that runs inside a database transaction; ``opens`` is what opens it.

    ``hook``: an ORM calls it within whatever transaction its caller has. ``writes``: something may be written in it;
    False only where a framework opens it unasked and nothing that writes is seen.
    """

    opens: str
    hook: bool = False
    writes: bool = True


class Inside(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """An enqueue that happens inside a transaction, each an index into its fact.

    ``through``: the functions that lead from one to the other, outermost first, as indices into ``Code.functions``.
    """

    transaction: int
    enqueue: int
    through: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Transactions(Sites[Transaction]):
    """All of them, and the enqueues that happen inside them."""

    inside: tuple[Inside, ...] = ()


class Ending(StrEnum):
    """How the clauses of a handler end."""

    RAISES = "raises"
    SOMETIMES = "sometimes"
    SWALLOWS = "swallows"


class Handler(Site, frozen=True, omit_defaults=True, gc=False):
    """An except or rescue clause; ``catches`` nothing by name = everything.

    ``final``: a finally or ensure clause that leaves by return, break or continue, and so swallows what was raised.
    ``spares``: the end of the process never comes there: an earlier clause raises it again, or no work is done inside.
    ``brief``: what it guards only clears away, or reads what lies at hand: it is over in a moment.
    """

    catches: tuple[str, ...]
    ending: Ending
    final: bool = False
    spares: bool = False
    brief: bool = False


class Handlers(Sites[Handler]):
    """All of them."""

    __slots__ = ()


class Timeout(StrEnum):
    """What limits a network call: a time given, nothing, the library's own default, or what cannot be told."""

    GIVEN = "given"
    NONE = "none"
    DEFAULT = "default"
    UNKNOWN = "unknown"


class NetworkCall(Site, frozen=True, omit_defaults=True, gc=False):
    """A call that waits for another machine; ``seconds``: its time-out, where it is a number that was written."""

    name: str
    timeout: Timeout
    seconds: float | None = None


class NetworkCalls(Sites[NetworkCall]):
    """All of them, of the libraries that are known."""

    __slots__ = ()
