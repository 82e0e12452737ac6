"""Commands whose options may also stand in the configuration or the environment: which of them wins, and what fits."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from kiqdoctor.cli.words.file import load
from kiqdoctor.cli.words.flags import exclusive
from kiqdoctor.cli.words.once import refuse_seconds
from kiqdoctor.cli.words.options import every
from kiqdoctor.connection import UrlError, shown_url
from kiqdoctor.examining.configuration import FOLDERS, NO_CONFIGURATION, Configuration, instead, spelt_value

SECTIONS: Final = ("checks", "queues", "suppress", "tags")
"""Tables of the file that are no options; `checks` is also the option of that name, when it is a list."""
PREFIX: Final = "KIQDOCTOR_"
UNMARKED: Final = frozenset({"config", "isolated", "help", "redis"})
"""Options that no variable sets under our prefix: the file's own, and --redis, which has the contract's variables."""
TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


class Configured(click.Command):
    """The command line wins over the environment, that over the file, that over the default.

    The command gets ``configuration`` as a keyword beside its options.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As any command, with defaults from the environment and the file."""
        words, _, order = self.make_parser(ctx).parse_args(list(args))
        helping = self.get_help_option(ctx)
        if ctx.resilient_parsing or (helping is not None and words.get(helping.name) is True):
            return super().parse_args(ctx, args)
        refuse_seconds(ctx, order)
        configuration = self._load(words)
        own = {parameter.name for parameter in self.params if parameter.name}
        file, environ = from_file(configuration), from_environment(os.environ)
        redis = file.pop("redis", None)
        ctx.default_map = {name: value for name, value in {**file, **environ}.items() if name in own}
        rest = super().parse_args(ctx, args)
        _settle(ctx)
        ctx.params["configuration"] = replace(configuration, redis=redis)
        return rest

    def _load(self, words: Mapping[str, Any]) -> Configuration:
        if words.get("isolated") is True:
            return NO_CONFIGURATION
        named, path = words.get("config"), words.get("path")
        named = named if isinstance(named, str) else os.environ.get(f"{PREFIX}CONFIG")
        return load(Path(named) if named else None, Path(path) if isinstance(path, str) else None)


def _settle(ctx: click.Context) -> None:
    """Where two options exclude each other, the one from the command line sends the other one away."""
    for pair in exclusive():
        for one, other in (pair, pair[::-1]):
            near = ctx.get_parameter_source(one.field) is ParameterSource.COMMANDLINE
            if (
                near
                and ctx.params.get(one.field)
                and ctx.get_parameter_source(other.field) is ParameterSource.DEFAULT_MAP
            ):
                ctx.params[other.field] = other.default


def key_of(parameter: click.Parameter) -> str:
    """The key that stands for it in the file: the option's long name without its dashes."""
    if isinstance(parameter, click.Argument):
        return parameter.name or ""
    return max(parameter.opts, key=len).removeprefix("--")


@cache
def settings() -> dict[str, click.Parameter]:
    """Every option of `check` and `gate` by its key: the one declaration, for files, schema and `init`."""
    return {key_of(one): one for one in every() if key_of(one) not in UNMARKED - {"redis"}}


def by_hand(parameter: click.Parameter) -> bool:
    """Whether only a file that the user named may set it: also where nobody said, and for what is examined."""
    return getattr(parameter, "by_hand", None) is not False


def from_file(configuration: Configuration) -> dict[str, Any]:
    """The options in the file, by their parameter's name; what only a named file may set is told and left out.

    Raises:
        click.UsageError: an unknown key or a value that does not fit, with file and line.
    """
    found: dict[str, Any] = {}
    known = settings()
    base = configuration.file.parent if configuration.file else Path()
    for place, value in _options(configuration.table):
        key = place[0]
        if key not in known:
            raise configuration.error(f"no such key; {instead(key, (*known, *SECTIONS))}", *place)
        if by_hand(known[key]) and not configuration.named:
            click.echo(f"kiqdoctor: {configuration.ignored(*place)}", err=True)
            continue
        try:
            found[str(known[key].name)] = fitting(known[key], value, base)
        except ValueError as error:
            raise configuration.error(str(error), *place) from None
    return found


def _options(table: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each option's place in the file and value; the folders of `checks` may lie beside its tables."""
    for key, value in table.items():
        if key == "checks" and isinstance(value, dict):
            if FOLDERS in value:
                yield (key, FOLDERS), value[FOLDERS]
        elif key not in SECTIONS or (key == "checks" and isinstance(value, list | str)):
            yield (key,), value


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """The options that variables set: KIQDOCTOR_FAIL_ON for --fail-on; lists have commas."""
    found: dict[str, Any] = {}
    for key, parameter in settings().items():
        variable = PREFIX + key.upper().replace("-", "_")
        if key in UNMARKED or key == "path" or not environ.get(variable):
            continue
        try:
            found[str(parameter.name)] = fitting(parameter, _typed(parameter, environ[variable]), Path())
        except ValueError as error:
            raise click.UsageError(f"{variable}: {error}") from None
    return found


def _typed(parameter: click.Parameter, text: str) -> Any:
    """A variable's text as the value that a file would hold."""
    if getattr(parameter, "is_flag", False):
        word = text.strip().lower()
        return True if word in TRUE else False if word in FALSE else text
    if parameter.multiple:
        return [part.strip() for part in text.split(",") if part.strip()]
    for kind, number in ((click.types.IntParamType, int), (click.types.FloatParamType, float)):
        if isinstance(parameter.type, kind):
            try:
                return number(text)
            except ValueError:
                return text
    return text


def fitting(parameter: click.Parameter, value: Any, base: Path) -> Any:
    """The value as click takes it; paths are relative to ``base``.

    Raises:
        ValueError: it does not fit; one line that says what would.
    """
    if getattr(parameter, "is_flag", False):
        return _of_type(value, bool, "true or false")
    if parameter.multiple:
        many = value if isinstance(value, list) else [value]
        return [_one(parameter, one, base) for one in many]
    return _one(parameter, value, base)


def _one(parameter: click.Parameter, value: Any, base: Path) -> Any:
    kind = parameter.type
    if isinstance(kind, click.Choice):
        return _choice(parameter, [str(one) for one in kind.choices], value)
    if isinstance(kind, click.types.IntParamType):
        return _converted(parameter, _of_type(value, int, "a whole number"))
    if isinstance(kind, click.types.FloatParamType):
        return _converted(parameter, _of_type(value, (int, float), "a number"))
    text: str = _of_type(value, str, "a text")
    if not text:
        raise ValueError("must not be empty")
    return (
        str(_converted(parameter, str(base / text))) if isinstance(kind, click.Path) else _text(parameter, text, base)
    )


def _text(parameter: click.Parameter, text: str, base: Path) -> str:
    if parameter.name == "reports":
        form, equals, file = text.partition("=")
        if not equals or not file:
            raise ValueError(f"must be FORMAT=FILE, not {spelt_value(text)}")
        return f"{form}={base / file}"
    return _address(text) if parameter.name == "redis" else text


def _choice(parameter: click.Parameter, choices: list[str], value: Any) -> str:
    text: str = _of_type(value, str, f"one of {', '.join(choices)}")
    try:
        return str(parameter.type.convert(text, parameter, None))
    except click.BadParameter:
        raise ValueError(
            f"{spelt_value(text)} is none of {', '.join(choices)}{_hint(instead(text, choices))}"
        ) from None


def _hint(near: str) -> str:
    return f"; {near}" if near.startswith("did") else ""


def _of_type(value: Any, kind: type | tuple[type, ...], name: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"must be {name}, not {spelt_value(value)}")  # the caller adds the place
    return value


def _converted(parameter: click.Parameter, value: Any) -> Any:
    try:
        return parameter.type.convert(value, parameter, None)
    except click.BadParameter as error:
        raise ValueError(error.message.rstrip(".")) from None


def _address(text: str) -> str:
    try:
        shown_url(text)
    except UrlError as error:
        raise ValueError(str(error)) from None
    return text
