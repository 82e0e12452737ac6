"""How a job may be called, and how a call lies in a payload: by place what can be, the rest by name."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

CURSOR: Final = "cursor"  # an iterable job gets it from whoever runs it
_PLACED: Final = frozenset({inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD})


@dataclass(frozen=True, slots=True)
class Calls:
    """``least`` to ``most`` arguments by place are enough and fit, unless ``named``: then some must come by name."""

    signature: inspect.Signature | None = None
    least: int = 0
    most: int = sys.maxsize
    named: bool = False

    def check(self, args: Sequence[Any]) -> None:
        """Whether these arguments by place fit.

        Raises:
            TypeError: they do not.
        """
        if self.named or not self.least <= len(args) <= self.most:
            self._bind(args, {})

    def lay(self, args: Sequence[Any], keywords: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The same call, as Ruby may read it: what a place is for stands there, with defaults in gaps before it.

        Raises:
            TypeError: it does not fit.
        """
        bound = self._bind(args, keywords)
        if bound is None:
            return list(args), dict(keywords)
        given = set(bound.arguments)
        bound.apply_defaults()
        placed, named, gap = [], {}, []
        for name, parameter in bound.signature.parameters.items():
            value = bound.arguments[name]
            if parameter.kind in _PLACED:
                gap.append(value)
                if name in given:
                    placed += gap
                    gap = []
            elif parameter.kind is parameter.VAR_POSITIONAL:
                placed += [*gap, *value] if value else []
            elif parameter.kind is parameter.VAR_KEYWORD:
                named.update(value)
            elif name in given:
                named[name] = value
        return placed, named

    def _bind(self, args: Sequence[Any], keywords: Mapping[str, Any]) -> inspect.BoundArguments | None:
        if self.signature is None:
            return None
        try:
            return self.signature.bind(*args, **keywords)
        except TypeError as error:
            raise TypeError(f"{error}; it takes {self.signature}") from None


def calls(function: Callable[..., Any], *, iterable: bool = False) -> Calls:
    """Of a function; anything fits one that does not tell."""
    try:
        told = inspect.signature(function)
    except (TypeError, ValueError):
        return Calls()
    parameters = [one for one in told.parameters.values() if not (iterable and one.name == CURSOR)]
    placed = [one for one in parameters if one.kind in _PLACED]
    least = sum(one.default is one.empty for one in placed)
    most = sys.maxsize if any(one.kind is one.VAR_POSITIONAL for one in parameters) else len(placed)
    named = any(one.kind is one.KEYWORD_ONLY and one.default is one.empty for one in parameters)
    return Calls(told.replace(parameters=parameters, return_annotation=told.empty), least, most, named)
