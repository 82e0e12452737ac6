"""An advisory's condition, judged three-valued: it holds, it does not, or it cannot be told.

Words, joined by ``and``, ``or``, ``not`` and parentheses:

- ``any``: nothing more than the version is needed; ``crashed``: a native crash was seen, which no source shows
- ``with(name>=1,<2)``, ``without(name)``: another package; ``python>=3.14``, ``ruby<2.1``: the interpreter
- ``forks``, and ``setting(TEXT)``, ``import(NAME, ...)``, ``call(...)``, ``shared(...)``, ``mutated(...)``,
  ``keyword(...)``, ``before_fork(...)``: a use of that pattern whose subject is NAME or begins with it;
  ``@job`` after it: a job reaches that use
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from kiqdoctor.doctor.facts.code import Source, Use
from kiqdoctor.doctor.facts.packages import Packages

PATTERNS: Final = frozenset({"import", "call", "shared", "mutated", "keyword", "before_fork", "forks", "setting"})
_TOKEN: Final = re.compile(
    r"\s*(\(|\)|and\b|or\b|not\b|(?:python|ruby)[<>=!~][^\s()]+|[a-z_]+(?:\((?:[^()]|\(\))*\))?(?:@job)?)"
)

Truth = bool | None


class ConditionError(ValueError):
    """The condition is not written in the words above."""


@dataclass
class Judgement:
    """What a condition came to, and the uses that show it."""

    truth: Truth
    witnesses: list[Use] = field(default_factory=list)


def judge(condition: str, packages: Packages, source: Source | None) -> Judgement:
    """The condition on these facts; ``source`` None: it was not read.

    Raises:
        ConditionError: where it is not well-formed.
    """
    reader = _Reader(_tokens(condition), packages, source)
    truth = reader.either()
    if reader.rest:
        raise ConditionError(f"{condition!r}: {reader.rest[0]!r} is not expected")
    return Judgement(truth, reader.witnesses)


def covers(spec: str, version: str) -> Truth:
    """Whether a version lies in a range; None where the version is not known or no version."""
    if not spec:
        return True
    if not version:
        return None
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # 40 ms that only versions in a range cost
    from packaging.version import InvalidVersion, Version

    try:
        return SpecifierSet(spec, prereleases=True).contains(Version(version))
    except (InvalidSpecifier, InvalidVersion):
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
    packages: Packages
    source: Source | None
    witnesses: list[Use] = field(default_factory=list)

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
        plain = {"any": True, "crashed": None}
        if token in plain:
            return plain[token]
        name, _, rest = token.partition("(")
        argument = rest.removesuffix("@job").removesuffix(")")
        if name in {"with", "without"}:
            return self._other(argument, present=name == "with")
        for language in ("python", "ruby"):
            if (spec := token.removeprefix(language)) != token:
                return covers(spec, self.packages.version_of(language, language))
        if name.removesuffix("@job") in PATTERNS:
            return self._used(name.removesuffix("@job"), argument, reached=token.endswith("@job"))
        raise ConditionError(f"{token!r} is no word of a condition")

    def _other(self, argument: str, *, present: bool) -> Truth:
        name = re.split(r"[<>=!~]", argument, maxsplit=1)[0]
        copies = [one for one in self.packages.all if one.name == name]
        if not present or not copies:
            return bool(copies) is present
        found = [covers(argument.removeprefix(name), one.version) for one in copies]
        return True if True in found else None if None in found else False

    def _used(self, pattern: str, argument: str, *, reached: bool) -> Truth:
        if self.source is None or not self.source.files:
            return None
        names = [name.strip() for name in argument.split(",") if name.strip()]
        matches = _matcher(names)
        found = [
            use
            for use in self.source.uses
            if use.pattern == pattern and (use.chain or not reached) and (not names or matches(use.subject))
        ]
        self.witnesses += found
        if found:
            return True
        return None if self.source.unparsed or self.source.partial else False


def _matcher(names: list[str]) -> Callable[[str], bool]:
    def matches(subject: str) -> bool:
        return any(
            subject == name
            or subject.startswith((f"{name}.", f"{name}::", f"{name}(", f"{name}="))
            or subject.endswith(f".{name}")
            for name in names
        )

    return matches
