"""Whether an advisory's condition holds, three-valued: it does, it does not, or it cannot be told.

Words, joined by ``and``, ``or``, ``not`` and parentheses:

- ``any``: nothing more than the version is needed; ``crashed``: a native crash was seen, which no source shows
- ``with(name>=1,<2)``, ``without(name)``: another package; ``python>=3.14``, ``ruby<2.1``: the interpreter
- ``import(NAME, ...)``, ``call(...)``, ``shared(...)``, ``mutated(...)``, ``before_fork(...)``: a site of that kind
  whose name is NAME, lies within it (NAME.x, NAME::x) or ends in it (x.NAME); ``import`` also sees calls of what lies
  within it, and uses of what was made of it
- ``after_fork(NAME, ...)``: such a call in a hook that a child runs after its fork
- ``keyword(CALL:NAME, CALL:NAME=TEXT, CALL:=TEXT)``: a call with such an argument; without a name one by position
- ``late(CALL)``: a module calls it below an import of what it should have patched
- ``~NAME`` in place of a NAME: one that holds it anywhere (``~.objects.``)
- ``threads``: jobs run that share their process with others
- ``forks``: by the code, by how it is started, or jobs run in children of what loaded the application
- ``setting(TEXT, ...)``: how it is started, and ``sidekiq:namespace``
- ``@job`` after any of these: a job leads to that site; ``@thread``: one that shares its process with others that run
  meanwhile; ``@huey`` and other libraries: the same of a job of theirs; ``@load``: it runs when a file is loaded
"""

import re
from dataclasses import field
from typing import Final

from kiqdoctor.doctor.versions import version_of
from kiqdoctor.doctor.witnesses import WORDS, Seen, Witness
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex

_TOKEN: Final = regex(
    r"\s*(\(|\)|and\b|or\b|not\b|(?:python|ruby)[<>=!~][^\s()]+|[a-z_]+(?:\((?:[^()]|\(\))*\))?(?:@[a-z_]+)?)"
)

Truth = bool | None


class ConditionError(ValueError):
    """The condition is not written in the words above."""


@dataclass
class Holding:
    """What a condition came to, and the sites that show it."""

    truth: Truth
    witnesses: list[Witness] = field(default_factory=list)


def stands(witness: Witness, where: str) -> Truth:
    """Whether a site is where a condition wants it; None: that depends on how jobs run, which nobody knows."""
    if where in {"", "job"}:
        return not where or bool(witness.chain)
    if where == "load":
        return witness.load
    if not witness.chain or where not in {"thread", witness.library}:
        return False
    return witness.shares


def holds(condition: str, seen: Seen) -> Holding:
    """The condition on these facts.

    Raises:
        ConditionError: where it is not well-formed.
    """
    reader = _Reader(_tokens(condition), seen)
    truth = reader.either()
    if reader.rest:
        raise ConditionError(f"{condition!r}: {reader.rest[0]!r} is not expected")
    return Holding(truth, reader.witnesses)


def covers(spec: str, version: str) -> Truth:
    """Whether a version lies in a range; None where the version is not known or no version."""
    if not spec:
        return True
    known = version_of(version) if version else None
    if known is None:
        return None
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # 40 ms that only versions in a range cost

    try:
        return SpecifierSet(spec, prereleases=True).contains(known)
    except InvalidSpecifier:
        return None


def _tokens(condition: str) -> list[str]:
    tokens, at = [], 0
    while at < len(condition.rstrip()):
        match = _TOKEN.match(condition, at)
        if match is None:
            raise ConditionError(f"{condition!r}: cannot be read from {condition[at:]!r} on")
        tokens.append(match[1])
        at = match.end()
    return tokens


@dataclass
class _Reader:
    rest: list[str]
    seen: Seen
    witnesses: list[Witness] = field(default_factory=list)

    def either(self) -> Truth:
        values = [self.both()]
        while self.rest and self.rest[0] == "or":
            self.rest.pop(0)
            values.append(self.both())
        return True if True in values else None if None in values else False

    def both(self) -> Truth:
        values = [self.one()]
        while self.rest and self.rest[0] == "and":
            self.rest.pop(0)
            values.append(self.one())
        return False if False in values else None if None in values else True

    def one(self) -> Truth:
        token = self.rest.pop(0) if self.rest else ""
        if token == "not":  # noqa: S105 - a word of the language
            seen = len(self.witnesses)
            value = self.one()
            del self.witnesses[seen:]
            return None if value is None else not value
        if token == "(":  # noqa: S105
            value = self.either()
            if not self.rest or self.rest.pop(0) != ")":
                raise ConditionError("a parenthesis is not closed")
            return value
        return self.word(token)

    def word(self, token: str) -> Truth:
        plain: dict[str, Truth] = {"any": True, "crashed": None}
        if token == "threads":  # noqa: S105 - a word of the language
            return self.seen.threads
        if token in plain:
            return plain[token]
        used, _, where = token.partition("@")
        name, _, rest = used.partition("(")
        argument = rest.removesuffix(")")
        if name in {"with", "without"}:
            return self._other(argument, present=name == "with")
        for language in ("python", "ruby"):
            if (spec := token.removeprefix(language)) != token:
                return covers(spec, self.seen.packages.version_of(language, language))
        if name in WORDS:
            return self._used(name, argument, where)
        raise ConditionError(f"{token!r} is no word of a condition")

    def _other(self, argument: str, *, present: bool) -> Truth:
        name = re.split(r"[<>=!~]", argument, maxsplit=1)[0]
        copies = [one for one in self.seen.packages.all if one.name == name]
        if not present or not copies:
            return bool(copies) is present
        found = [covers(argument.removeprefix(name), one.version) for one in copies]
        return True if True in found else None if None in found else False

    def _used(self, word: str, argument: str, where: str) -> Truth:
        names = tuple(name.strip() for name in argument.split(",") if name.strip())
        sight = WORDS[word](self.seen, names)
        fitting = [(one, stands(one, where)) for one in sight.witnesses]
        found = [one for one, sure in fitting if sure]
        perhaps = [one for one, sure in fitting if sure is None]
        self.witnesses += found or perhaps
        return True if found else None if perhaps or not sight.whole else False
