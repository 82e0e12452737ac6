"""From the configuration's tables to what people decided: numbers that were turned, findings that are suppressed."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.doctor.check import Check
from kiqdoctor.doctor.facts.engine import Suppressions, Threshold, Thresholds, Turned
from kiqdoctor.doctor.facts.redis import Connection
from kiqdoctor.doctor.probe import Probe
from kiqdoctor.doctor.suppressions import Suppression
from kiqdoctor.doctor.verdict import Location
from kiqdoctor.examining.configuration import FOLDERS, Configuration, Key, instead, spelt_value
from kiqdoctor.records import dataclass

if TYPE_CHECKING:
    from kiqdoctor.doctor.while_clause import WhileClause

SCOPES: Final = {"queues": "queue", "tags": "tag"}
"""Tables whose entries are globs of names, and what a threshold must be declared to differ by."""


@dataclass(frozen=True, slots=True)
class SuppressionKey:
    """A key of a suppression: what it means, whether it must be there."""

    name: str
    meaning: str
    required: bool = False


SUPPRESSION_KEYS: Final = (
    SuppressionKey("check", "The check's id or name.", required=True),
    SuppressionKey("reason", "Why the finding does not count.", required=True),
    SuppressionKey("owner", "Who decided it, and whom to ask.", required=True),
    SuppressionKey(
        "expires", "The last day on which it holds, or the UTC moment when it ends: ISO 8601.", required=True
    ),
    SuppressionKey("subject", "Only findings about this subject; a glob, as `queue:mail*`."),
    SuppressionKey("fingerprint", "Only the finding with this fingerprint."),
    SuppressionKey("while", "Only as long as this holds of the facts, as `fleet.members < 3`."),
)
Table = Mapping[str, Any]


def decided(
    configuration: Configuration, checks: Sequence[Check], readers: Sequence[Probe], root: Path | None
) -> tuple[Thresholds, tuple[Suppression, ...]]:
    """Everything that people decided; ``root`` is the application, whose files findings may point into.

    Raises:
        AskedError: a check, a number or a word that does not exist, with file and line.
    """
    reader = _Reader(configuration, checks, (*(probe.fact for probe in readers), Connection), root)
    return Thresholds(tuple(reader.turned())), tuple(reader.suppressions())


class _Reader:
    def __init__(
        self, configuration: Configuration, checks: Sequence[Check], kinds: Sequence[type], root: Path | None
    ) -> None:
        self._of = configuration
        self._checks = checks
        self._kinds = kinds
        self._root = root

    def turned(self) -> Iterator[Turned]:
        for name, numbers in self._tables("checks"):
            yield from self._numbers(("checks", name), name, numbers, "")
        for section, scope in SCOPES.items():
            for glob, by_check in self._tables(section):
                for name, numbers in by_check.items():
                    for one in self._numbers((section, glob, name), name, numbers, scope):
                        yield Turned(one.check, one.name, one.value, one.source, **{scope: glob})

    def _tables(self, section: str) -> Iterator[tuple[str, Table]]:
        found = self._of.table.get(section, {})
        if section == "checks" and isinstance(found, list | str):
            return  # the option: further folders
        for name, inner in self._table(found, section).items():
            if not (section == "checks" and name == FOLDERS):
                yield name, self._table(inner, section, name)

    def _table(self, value: Any, *key: str | int) -> Table:
        if not isinstance(value, dict):
            raise self._of.error(f"must be a table, not {spelt_value(value)}", *key)
        return value

    def _numbers(self, key: Key, name: str, numbers: Any, scope: str) -> Iterator[Turned]:
        check = self._check(name, *key)
        known = {one.name: one for one in check.thresholds if not scope or scope in one.per}
        for number, value in self._table(numbers, *key).items():
            if number not in known:
                raise self._of.error(self._no_number(check, number, known, scope), *key, number)
            if reason := _refused(known[number], value):
                raise self._of.error(reason, *key, number)
            yield Turned(check.id, number, float(value), self._of.where(*key, number))

    def _no_number(self, check: Check, name: str, known: Mapping[str, Threshold], scope: str) -> str:
        per = f" per {scope}" if scope else ""
        if known:
            return f"{check.id} has no such number{per}; {instead(name, known)}"
        others = [one.id for one in self._checks if any(not scope or scope in each.per for each in one.thresholds)]
        return f"{check.id} has no numbers to turn{per}; those that have are {', '.join(others) or 'none'}"

    def _check(self, name: str, *key: str | int) -> Check:
        found = next((one for one in self._checks if name.upper() == one.id or name == one.name), None)
        if found is None:
            names = [word for one in self._checks for word in (one.id, one.name)]
            near = instead(name, names)
            raise self._of.error(
                f"no check is called {spelt_value(name)}; {near if near.startswith('did') else 'see `kiqdoctor list`'}",
                *key,
            )
        return found

    def suppressions(self) -> Iterator[Suppression]:
        found = self._of.table.get("suppress", [])
        if not isinstance(found, list):
            raise self._of.error("must be a list of tables, each headed by [[suppress]]", "suppress")
        for number, entry in enumerate(found):
            yield self._suppression(self._table(entry, "suppress", number), ("suppress", number))

    def _suppression(self, entry: Table, key: Key) -> Suppression:
        self._worded(entry, key)
        check = self._check(entry["check"], *key, "check")
        if any(need.kind is Suppressions for need in check.needs):
            raise self._of.error(
                f"{check.id} watches the suppressions themselves; use --ignore {check.id}", *key, "check"
            )
        fingerprint = entry.get("fingerprint", "")
        if fingerprint and fingerprint.partition(":")[0] != check.id:
            raise self._of.error(f"is no fingerprint of {check.id}: those begin with {check.id}:", *key, "fingerprint")
        expires, until = self._end(entry["expires"], *key, "expires")
        return Suppression(
            check=check.id,
            reason=entry["reason"],
            owner=entry["owner"],
            expires=expires,
            until=until,
            subject=entry.get("subject", ""),
            fingerprint=fingerprint,
            while_=self._while(entry.get("while"), *key, "while"),
            source=self._of.where(*key),
            location=self._location(*key),
        )

    def _worded(self, entry: Table, key: Key) -> None:
        for name, value in entry.items():
            if name not in {word.name for word in SUPPRESSION_KEYS}:
                raise self._of.error(
                    f"no such key; {instead(name, [word.name for word in SUPPRESSION_KEYS])}", *key, name
                )
            if name != "expires" and not (isinstance(value, str) and value.strip()):
                raise self._of.error(f"must be a text that says something, not {spelt_value(value)}", *key, name)
        if missing := [word.name for word in SUPPRESSION_KEYS if word.required and word.name not in entry]:
            raise self._of.error(f"lacks {', '.join(missing)}: each suppression says why, who and how long", *key)

    def _while(self, text: str | None, *key: str | int) -> "WhileClause | None":
        if text is None:
            return None
        from kiqdoctor.doctor.while_clause import WhileClauseError, read

        try:
            return read(text, self._kinds)
        except WhileClauseError as error:
            raise self._of.error(str(error), *key) from None

    def _end(self, value: Any, *key: str | int) -> tuple[str, float]:
        try:
            return end(value)
        except ValueError as error:
            raise self._of.error(str(error), *key) from None

    def _location(self, *key: str | int) -> Location | None:
        """Where it stands, if that is in the application."""
        if self._of.file is None or self._root is None:
            return None
        try:
            path = self._of.file.resolve().relative_to(self._root.resolve())
        except ValueError:
            return None
        return Location(path.as_posix(), self._of.line(*key))


def _refused(threshold: Threshold, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:  # noqa: PLR0124 - NaN
        return f"must be a number ({threshold.unit}), not {spelt_value(value)}"
    return threshold.refuses(value)


def end(value: Any) -> tuple[str, float]:
    """When a suppression ends: as written, and in epoch seconds. A day alone is the last on which it holds.

    Raises:
        ValueError: no ISO date, or not in UTC.
    """
    moment = _moment(value)
    if not isinstance(moment, datetime):
        last = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
        return moment.isoformat(), last.timestamp() + timedelta(days=1).total_seconds()
    try:
        utc = moment.astimezone(UTC) if moment.tzinfo else moment
    except OverflowError:
        raise ValueError("is not in UTC, and before or after all time there") from None
    spelt = utc.isoformat().replace("+00:00", "").removesuffix("Z") + "Z"
    if moment.tzinfo is None:
        raise ValueError(f"has no time zone; in UTC it would be {spelt}")
    if moment.utcoffset():
        raise ValueError(f"is not in UTC; write {spelt}")
    return spelt, moment.timestamp()


def _moment(value: Any) -> date | datetime:
    if isinstance(value, date):  # a datetime is one too
        return value
    if isinstance(value, str):
        for kind in (date, datetime):
            try:
                return kind.fromisoformat(value)
            except (ValueError, OverflowError):
                continue
    raise ValueError(f"must be an ISO date in UTC, as 2026-12-31 or 2026-12-31T18:00:00Z, not {spelt_value(value)}")
