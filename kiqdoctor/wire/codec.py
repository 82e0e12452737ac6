"""JSON both ways: compact as Ruby writes it, tolerant as a doctor must read it."""

import math
from collections.abc import Callable
from typing import Any, Final

import msgspec

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder()
LARGEST: Final = 2**64 - 1
SMALLEST: Final = -(2**63)


class ArgumentError(TypeError):
    """A job argument that would not come back as it went; names the argument."""


class NotJsonError(ValueError):
    """Bytes that are not JSON."""


def encode(value: Any) -> bytes:
    """Compact UTF-8 JSON."""
    return _ENCODER.encode(value)


def decode(raw: bytes | str) -> Any:
    """Any JSON value.

    Raises:
        NotJsonError: in one line.
    """
    try:
        return _DECODER.decode(raw)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise NotJsonError(" ".join(str(error).split())) from None


def strict(value: Any, name: str) -> None:
    """Refuse what JSON would change: tuples, sets, dates, non-string keys, NaN, integers beyond 64 bits.

    Raises:
        ArgumentError: naming the place, e.g. ``args[1]["when"]``.
    """
    kind = type(value)
    if kind is list:
        for index, item in enumerate(value):
            strict(item, f"{name}[{index}]")
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise ArgumentError(f"{name}: the key {key!r} is a {type(key).__name__}; JSON keys are strings")
            strict(item, f"{name}[{key!r}]")
    elif (refuse := _SCALARS.get(kind)) is not None:
        refuse(value, name)
    else:
        raise ArgumentError(f"{name}: a {kind.__name__} has no JSON form; pass a string, a number, a list or a dict")


def _text(value: str, name: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ArgumentError(f"{name}: the text holds a lone surrogate, which UTF-8 cannot carry") from None


def _integer(value: int, name: str) -> None:
    if not SMALLEST <= value <= LARGEST:
        raise ArgumentError(f"{name}: {value} does not fit 64 bits; pass it as a string")


def _number(value: float, name: str) -> None:
    if not math.isfinite(value):
        raise ArgumentError(f"{name}: {value} has no JSON form")


def _fine(value: object, name: str) -> None:
    """True, False and None are themselves."""


_SCALARS: Final[dict[type, Callable[[Any, str], None]]] = {
    str: _text,
    int: _integer,
    float: _number,
    bool: _fine,
    type(None): _fine,
}
