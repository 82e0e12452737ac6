"""Finds and reads the configuration: --config FILE, else kiqdoctor.toml, else [tool.kiqdoctor] in pyproject.toml."""

from pathlib import Path
from typing import Any, Final

from kiqdoctor.examining.configuration import NO_CONFIGURATION, Configuration
from kiqdoctor.examining.errors import AskedError
from kiqdoctor.reading import whole
from kiqdoctor.regex import regex
from kiqdoctor.text import clean

NAME: Final = "kiqdoctor.toml"
PROJECT: Final = "pyproject.toml"
LARGEST: Final = 1024 * 1024  # bytes: more than any person wrote
TABLE: Final = ("tool", "kiqdoctor")
_AT: Final = regex(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def find(path: Path | None) -> Path | None:
    """The file that counts, in the application that was named or else where we are."""
    for folder in dict.fromkeys((path or Path(), Path())):
        if (folder / NAME).is_file():
            return folder / NAME
        if (folder / PROJECT).is_file() and b"tool.kiqdoctor" in _bytes(folder / PROJECT):
            return folder / PROJECT
    return None


def load(named: Path | None, path: Path | None) -> Configuration:
    """The configuration; ``named`` is the file of --config.

    Raises:
        AskedError: it cannot be read, or is no TOML.
    """
    file = named or find(path)
    if file is None:
        return NO_CONFIGURATION
    from kiqdoctor.cli.words.places import lines

    document, text = _parsed(file)
    if file.name != PROJECT:
        return Configuration(file, document, (), lines(text), named=named is not None)
    table: Any = document
    for name in TABLE:
        table = table.get(name) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        if named is None:
            return NO_CONFIGURATION
        raise AskedError(f"{clean(str(file))}: it has no table [tool.kiqdoctor]")
    return Configuration(file, table, TABLE, lines(text), named=named is not None)


def _parsed(file: Path) -> tuple[dict[str, Any], str]:
    import tomllib

    name = clean(str(file))
    try:
        text = _bytes(file).decode().removeprefix("\ufeff").replace("\r\n", "\n")
        return tomllib.loads(text), text
    except UnicodeDecodeError as error:
        raise AskedError(f"{name}: it is not UTF-8: byte {error.start}") from None
    except RecursionError:
        raise AskedError(f"{name}: it is nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        said = clean(str(error))
        at = _AT.search(said)
        place = f"{at[1]}:{at[2]}" if at and at[1] else str(text.count("\n") + 1)
        raise AskedError(f"{name}:{place}: {_AT.sub('', said)}") from None


def _bytes(file: Path) -> bytes:
    try:
        return whole(file, LARGEST)
    except OSError as error:
        raise AskedError(f"cannot read {clean(str(file))}: {error.strerror}") from None
