"""Records at a tenth of what dataclasses take to make one: frozen or not, with slots or without.

They compile up to six methods for each class, half a millisecond; with 150 of them that was a fifth of every command's
start. Here all but the initialiser are closures, and that is compiled with the first value: a command makes values of
few of the classes that it loads. What a class wants beyond that is left to the library.
"""

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, FrozenInstanceError
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Generic

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - re-exported: type checkers know it by this name
else:

    def dataclass(cls: type | None = None, /, **wanted: bool) -> Any:
        """As the library's, whose ``fields``, ``replace`` and ``asdict`` take what it makes."""
        if cls is None:
            return lambda later: dataclass(later, **wanted)
        return _record(cls, **wanted) if wanted.keys() <= KNOWN else dataclasses.dataclass(cls, **wanted)


KNOWN: Final = {"frozen", "slots"}
_LEFT_OUT: Final = object()


def _record(cls: type, *, frozen: bool = False, slots: bool = False) -> type:
    if not _plain(cls):
        return dataclasses.dataclass(cls, frozen=frozen, slots=slots)
    made: Any = dataclasses.dataclass(cls, init=False, repr=False, eq=False, slots=slots)
    parameters = made.__dataclass_params__
    parameters.init = parameters.repr = parameters.eq = True
    parameters.frozen = frozen
    fields = dataclasses.fields(made)
    names = tuple(field.name for field in fields)
    methods = {"__match_args__": names, "__init__": _first(made, fields), **dict(_methods(names))}
    methods |= FROZEN if frozen else {"__hash__": None}
    for name, method in {**methods, **(STATE if frozen and slots else {})}.items():
        if vars(cls).get(name) is None:  # Python sets __hash__ to None beside a class's own __eq__
            setattr(made, name, method)
    found: type = made
    return found


def _plain(cls: type) -> bool:
    """Whether it is a class of its own whose fields say no more than their default."""
    told = [value for value in vars(cls).values() if isinstance(value, Field)]
    kept = all(one.init and one.repr and one.compare and one.hash is None and not one.metadata for one in told)
    return kept and cls.__bases__ in {(object,), (Generic,)}


def _first(made: Any, fields: Iterable[Field[Any]]) -> Callable[..., None]:
    """What compiles the initialiser, and gives place to it."""

    def __init__(self: Any, *values: Any, **named: Any) -> None:  # noqa: N807
        made.__init__ = _initialiser(made, fields)
        made.__init__(self, *values, **named)

    return __init__


def _initialiser(made: Any, fields: Iterable[Field[Any]]) -> Callable[..., None]:
    """Compiled, for it is called most."""
    put = "_put(self, {!r}, {})" if made.__dataclass_params__.frozen else "self.{} = {}"
    known: dict[str, Any] = {"_put": object.__setattr__, "_left_out": _LEFT_OUT}
    parameters, lines = ["self"], []
    for number, field in enumerate(fields):
        name, value = field.name, field.name
        if field.default is not MISSING:
            known[f"_{number}"] = field.default
            parameters.append(f"{name}=_{number}")
        elif field.default_factory is not MISSING:
            known[f"_{number}"] = field.default_factory
            parameters.append(f"{name}=_left_out")
            value = f"_{number}() if {name} is _left_out else {name}"
        else:
            parameters.append(name)
        lines.append(put.format(name, value))
    if hasattr(made, "__post_init__"):
        lines.append("self.__post_init__()")
    body = "\n    ".join(lines or ["pass"])
    exec(f"def __init__({', '.join(parameters)}):\n    {body}", known)  # noqa: S102 - as the library does
    found: Callable[..., None] = known["__init__"]
    found.__qualname__ = f"{made.__qualname__}.__init__"
    found.__annotations__ = {field.name: field.type for field in fields} | {"return": None}
    return found


def _methods(names: tuple[str, ...]) -> Iterable[tuple[str, Callable[..., Any]]]:
    values: Callable[[Any], Any] = attrgetter(*names) if names else lambda _: ()

    def __eq__(self: Any, other: object) -> Any:  # noqa: N807
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: Any) -> int:  # noqa: N807
        return hash(values(self))

    yield "__eq__", __eq__
    yield "__hash__", __hash__
    yield "__repr__", _repr


def _repr(self: Any) -> str:
    inner = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
    return f"{type(self).__qualname__}({inner})"


def _refused(self: Any, name: str, *_: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r} of a {type(self).__name__}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self.__match_args__]


def _restored(self: Any, state: list[Any]) -> None:
    for name, value in zip(self.__match_args__, state, strict=True):
        object.__setattr__(self, name, value)


FROZEN: Final = {"__setattr__": _refused, "__delattr__": _refused}
STATE: Final = {"__getstate__": _state, "__setstate__": _restored}
"""By which what has slots and is frozen is copied and pickled."""
