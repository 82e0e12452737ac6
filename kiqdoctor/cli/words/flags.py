"""The fields of Asked as options of click, and an option's value as the field's; no flag is named a second time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from math import isfinite
from pathlib import Path
from types import UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

import click

from kiqdoctor.examining.asked import FLAG, NEVER, Asked, Flag, PathKind
from kiqdoctor.examining.errors import AskedError

_PATHS: Final[dict[PathKind, dict[str, bool]]] = {
    "file": {"exists": True, "dir_okay": False},
    "folder": {"exists": True, "file_okay": False},
    "file or folder": {"exists": True},
    "new file": {"dir_okay": False},
}


class Number(click.FloatRange):
    """A number as click knows it, without those that are none or have no end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click does, and finite."""
        number = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


class Setting(click.Option):
    """An option that says whether a configuration that was merely found may set it (``Flag.by_hand``)."""

    def __init__(self, *words: Any, by_hand: bool | None = None, **more: Any) -> None:
        super().__init__(*words, **more)
        self.by_hand = by_hand


@dataclass(frozen=True, slots=True)
class FlagOption:
    """One flag: its field, the type of one value, whether it may be repeated."""

    field: str
    flag: Flag
    kind: type
    many: bool
    default: Any

    @property
    def name(self) -> str:
        """Without its dashes, as the configuration spells it."""
        return self.flag.name or self.field.replace("_", "-")

    def option(self, *, several: bool = False) -> Callable[[Any], Any]:
        """As click declares it; the parameter is called as the field, and holds all of them where it takes several."""
        names, text = (f"--{self.name}", self.field), self.flag.help
        own: dict[str, Any] = {"cls": Setting, "by_hand": self.flag.by_hand, "help": text}
        if self.kind is bool:
            return click.option(*names, is_flag=True, **own)
        told = self.default.value if isinstance(self.default, StrEnum) else self.default
        default: dict[str, Any] = {} if told in {None, ()} else {"default": told, "show_default": bool(told)}
        metavar = self.flag.metavar or None
        return click.option(*names, metavar=metavar, multiple=self.many or several, type=self._type(), **own, **default)

    def _type(self) -> Any:
        if self.kind is int:
            return click.IntRange(None if self.flag.least is None else int(self.flag.least))
        if self.kind is float:
            return Number(self.flag.least)
        if self.kind is Path:
            return click.Path(**_PATHS[self.flag.path], path_type=Path)
        if issubclass(self.kind, StrEnum):
            return click.Choice([*(one.value for one in self.kind), NEVER])
        return None

    def value(self, given: Any) -> Any:
        """What click read, as the field has it; lists may have commas in their texts."""
        if self.many and self.kind is str:
            return tuple(part.strip() for one in given for part in one.split(",") if part.strip())
        if self.many:
            return tuple(given)
        if issubclass(self.kind, StrEnum):
            return None if given == NEVER else self.kind(given)
        return self.default if given is None else given


def _option(name: str, hint: Any, default: Any, flag: Flag) -> FlagOption:
    many = get_origin(hint) is tuple
    kinds = (
        [one for one in get_args(hint) if one not in {type(None), ...}]
        if many or isinstance(hint, UnionType)
        else [hint]
    )
    return FlagOption(name, flag, kinds[0], many, default)


def _flags() -> tuple[FlagOption, ...]:
    hints = get_type_hints(Asked)
    return tuple(
        _option(one.name, hints[one.name], one.default, one.metadata[FLAG])
        for one in fields(Asked)
        if FLAG in one.metadata
    )


FLAGS: Final = _flags()


def values(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a command's parameters give.

    Raises:
        AskedError: two that exclude each other.
    """
    mine = [one for one in FLAGS if one.field in given]
    for one, other in exclusive():
        if given.get(one.field) and given.get(other.field):
            raise AskedError(f"--{one.name} and --{other.name} exclude each other")
    return {one.field: one.value(given[one.field]) for one in mine}


def exclusive() -> tuple[tuple[FlagOption, FlagOption], ...]:
    """Pairs that cannot be asked for together."""
    by_field = {one.field: one for one in FLAGS}
    return tuple((one, by_field[other]) for one in FLAGS for other in one.flag.excludes)
