"""What a check is: a pure function over facts, with its id, its worst severity and its page."""

import inspect
import types
import typing
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, TypeVar

from kiqdoctor.doctor.facts.engine import Threshold
from kiqdoctor.doctor.series import Earlier, Series, Twice
from kiqdoctor.doctor.snapshot import Absent, Refused
from kiqdoctor.doctor.verdict import Severity, Verdict
from kiqdoctor.records import dataclass


class Span(Enum):
    """Over what time a fact is wanted, by the type that stands around it in the annotation."""

    ONCE = None
    TWICE = Twice
    SERIES = Series
    EARLIER = Earlier


_SPANS = {span.value: span for span in Span}
SAMPLED = frozenset({Span.TWICE, Span.SERIES})
"""What takes further readings over a window."""


@dataclass(frozen=True, slots=True)
class Need:
    """A fact that a check judges. ``optional`` (``Fact | Missing``): the check itself says what a missing one means."""

    name: str
    kind: type
    optional: bool = False
    span: Span = Span.ONCE


@dataclass(frozen=True, slots=True)
class Check:
    """A registered check; ``caused_by`` names checks whose findings explain this one's.

    ``thresholds`` are the numbers that a configuration may turn: it takes them as the fact ``Thresholds``. ``origin``
    names the plug-in that brought it, "" for our own.
    """

    id: str
    name: str
    category: str
    severity: Severity
    judge: Callable[..., Iterable[Verdict]]
    needs: tuple[Need, ...]
    doc: str
    preview: bool = False
    caused_by: tuple[str, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    origin: str = ""

    @property
    def lasts(self) -> bool:
        """Whether it judges what changes over a window; then every fact of its is judged as the window's end has it."""
        return any(need.span in SAMPLED for need in self.needs)

    @property
    def page(self) -> str:
        """What explains it: its module's docstring."""
        return inspect.cleandoc(self.doc)

    @property
    def title(self) -> str:
        """The first line of its page."""
        return next(iter(self.doc.strip().splitlines()), "")


Judge = TypeVar("Judge", bound=Callable[..., Iterable[Verdict]])


def check(
    id: str,  # noqa: A002 - the catalogue's own word
    *,
    severity: Severity,
    preview: bool = False,
    caused_by: tuple[str, ...] = (),
    thresholds: tuple[Threshold, ...] = (),
) -> Callable[[Callable[..., Iterable[Verdict]]], Check]:
    """Make a check of a generator whose annotations name the facts it judges. Its module's docstring is its page."""

    def register(judge: Callable[..., Iterable[Verdict]]) -> Check:
        module = inspect.getmodule(judge)
        return Check(
            id=id,
            name=judge.__name__.replace("_", "-"),
            category=judge.__module__.split(".")[-2] if "." in judge.__module__ else "",
            severity=severity,
            judge=judge,
            needs=needs_of(judge),
            doc=(module.__doc__ if module else None) or "",
            preview=preview,
            caused_by=caused_by,
            thresholds=thresholds,
        )

    return register


def needs_of(function: Callable[..., Any]) -> tuple[Need, ...]:
    """The facts that a function's parameters name, in order."""
    function = inspect.unwrap(function)
    code, hints = function.__code__, hinted(function)
    return tuple(_need(name, hints[name]) for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])


def hinted(function: Callable[..., Any]) -> dict[str, Any]:
    """Its annotations; a library that takes a tenth of a millisecond looks up the names in those that are texts."""
    told: dict[str, Any] = function.__annotations__
    return typing.get_type_hints(function) if any(map(_spelt, told.values())) else told


def _spelt(hint: Any) -> bool:
    """Whether it is a text, or made of one."""
    return isinstance(hint, str | typing.ForwardRef) or any(map(_spelt, getattr(hint, "__args__", ())))


def _need(name: str, hint: Any) -> Need:
    unions = (types.UnionType, typing.Union)
    alternatives = typing.get_args(hint) if typing.get_origin(hint) in unions else (hint,)
    optional = Refused in alternatives or Absent in alternatives
    [kind] = [one for one in alternatives if one not in (Refused, Absent, type(None))]
    span = _SPANS.get(typing.get_origin(kind), Span.ONCE)
    return Need(name, kind if span is Span.ONCE else typing.get_args(kind)[0], optional, span)
