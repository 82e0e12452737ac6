"""JSON both ways: compact as Ruby writes it, tolerant as a doctor must read it."""

import math
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import msgspec

_ENCODER: Final = msgspec.json.Encoder()
encode: Final = _ENCODER.encode
"""Compact UTF-8 JSON."""
_DECODER: Final = msgspec.json.Decoder()
ODD_BELOW: Final = 1e-4
ODD_FROM: Final = 1e15
FIXED_BELOW: Final = 1e16
_ODD: Final = re.compile(rb"[:,\[]-?(?:\d+(?:\.\d+)?[eE]|0\.0000|\d{15,}\.)")
_TYPING: Final = threading.RLock()
LARGEST: Final = 2**64 - 1
SMALLEST: Final = -(2**63)


Kind = TypeVar("Kind")


class ArgumentError(TypeError):
    """A job argument that would not come back as it went; names the argument."""


class NotJsonError(ValueError):
    """Bytes that are not JSON."""


def encode_payload(fields: dict[str, Any] | list[Any]) -> bytes:
    """Compact JSON, of a payload or a part of one, as Ruby would write it: its web UI finds a job by writing it again.

    Numbers apart both write alike; a float that one of them writes with an exponent is spelt as Ruby's json does.
    """
    raw = _ENCODER.encode(fields)
    values = fields.values() if type(fields) is dict else fields
    return _ENCODER.encode(_ruby(fields)) if _doubtful(values) and _ODD.search(raw) else raw


def ours(raw: bytes) -> bool:
    """Whether ``encode_payload`` spells what these bytes say in just these bytes: Ruby finds a job by writing it again.

    Raises:
        NotJsonError: they are no JSON.
    """
    return encode_payload(decode(raw)) == raw


def _doubtful(values: Iterable[Any]) -> bool:
    """Whether a float that must be spelt may be among them: searching the text takes longer than writing it."""
    for value in values:
        kind = type(value)
        if kind is str or kind is int:
            continue
        if kind is float:
            if not ODD_BELOW <= value < ODD_FROM:
                return True
        elif kind is list:
            if not simple(value):
                return True
        elif value is not None and kind is not bool:
            return True
    return False


def odd(value: float) -> bool:
    """Whether Ruby spells this float otherwise than our encoder does."""
    size = abs(value)
    return size != 0 and (size < ODD_BELOW or size >= ODD_FROM)


def _ruby(value: Any) -> Any:
    kind = type(value)
    if kind is float and odd(value):
        return msgspec.Raw(_spell(value).encode())
    if kind is dict:
        return {key: _ruby(item) for key, item in value.items()}
    return [_ruby(item) for item in value] if kind is list else value


def _spell(value: float) -> str:
    """Fixed from 1e-4 up to 1e15, up to 1e16 where a fraction remains; else ``d.de+NN`` with two digits at least."""
    size = abs(value)
    if ODD_BELOW <= size < FIXED_BELOW and not value.is_integer():
        return repr(value)
    mantissa, _, exponent = f"{value!r}".lower().partition("e")
    if not exponent:
        digits = mantissa.removeprefix("-").removesuffix(".0")
        exponent = str(len(digits) - 1)
        head, rest = digits[0], digits[1:].rstrip("0") or "0"
        mantissa = f"{'-' if value < 0 else ''}{head}.{rest}"
    whole = mantissa if "." in mantissa else f"{mantissa}.0"
    return f"{whole}e{'-' if exponent.startswith('-') else '+'}{exponent.lstrip('+-').zfill(2)}"


def decode(raw: bytes | str) -> Any:
    """Any JSON value.

    Raises:
        NotJsonError: in one line.
    """
    try:
        return _DECODER.decode(raw)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise NotJsonError(" ".join(str(error).split())) from None


def typed(value: Any, kind: type[Kind], *, str_keys: bool = False, builtin_types: Iterable[type] | None = None) -> Kind:
    """What was read as plain values, as a record of this type; the only way there.

    msgspec 0.22 learns a type when it is first asked for, and another thread that asks meanwhile reads what is half
    learned and kills the process (seen with two workers' stacks under --deep): one thread at a time.

    Raises:
        msgspec.ValidationError: it is of another shape.
    """
    with _TYPING:
        return msgspec.convert(value, kind, str_keys=str_keys, builtin_types=builtin_types)


def typed_text(raw: bytes, kind: type[Kind]) -> Kind:
    """JSON as a record of this type, without the plain values in between; one thread at a time, as above.

    Raises:
        msgspec.DecodeError: it is no JSON, or of another shape.
    """
    with _TYPING:
        return msgspec.json.decode(raw, type=kind)


def strict(value: Any, name: str) -> bool:
    """Refuse what JSON would change: tuples, sets, dates, non-string keys, NaN, integers beyond 64 bits.

    Whether it holds a float that ``encode_payload`` must spell.

    Raises:
        ArgumentError: naming the place, e.g. ``args[1]["when"]``.
    """
    kind = type(value)
    if kind is list:
        return any([strict(item, f"{name}[{index}]") for index, item in enumerate(value)])  # noqa: C419 - all are looked at
    if kind is dict:
        for key in value:
            if type(key) is not str:
                raise ArgumentError(f"{name}: the key {key!r} is of type {type(key).__name__}; JSON keys are strings")
        return any([strict(item, f"{name}[{key!r}]") for key, item in value.items()])  # noqa: C419
    refuse = _SCALARS.get(kind)
    if refuse is None:
        raise ArgumentError(f"{name}: {kind.__name__} has no JSON form; pass a string, a number, a list or a dict")
    return refuse(value, name)


def simple(values: list[Any]) -> bool:
    """Whether ``strict`` has nothing against these at a glance: naming each place takes longer than encoding them."""
    for value in values:
        kind = type(value)
        if kind is int:
            if not SMALLEST <= value <= LARGEST:
                return False
        elif kind is str:
            if not value.isascii():
                return False
        elif value is not None and kind is not bool:
            return False
    return True


def _text(value: str, name: str) -> bool:
    if value.isascii():
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ArgumentError(f"{name}: the text holds a lone surrogate, which UTF-8 cannot carry") from None
    return False


def _integer(value: int, name: str) -> bool:
    if not SMALLEST <= value <= LARGEST:
        raise ArgumentError(f"{name}: {value} does not fit 64 bits; pass it as a string")
    return False


def _number(value: float, name: str) -> bool:
    if not math.isfinite(value):
        raise ArgumentError(f"{name}: {value} has no JSON form")
    return odd(value)


def _fine(value: object, name: str) -> bool:  # noqa: ARG001 - True, False and None are themselves
    return False


_SCALARS: Final[dict[type, Callable[[Any, str], bool]]] = {
    str: _text,
    int: _integer,
    float: _number,
    bool: _fine,
    type(None): _fine,
}
