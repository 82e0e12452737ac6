"""How calls lie in payloads: what has a place stands there, whoever wrote it by name."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kiqdoctor.runtime.calling import calls


def both(first: str, second: int = 2, third: int = 3) -> None: ...
def named(first: str, *, loud: bool, times: int = 1) -> None: ...
def many(first: str, *rest: int, **more: int) -> None: ...
def steps(table: str, *, cursor: int | None = None) -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("function", "args", "keywords", "placed", "by_name"),
    [
        (both, (), {"first": "a"}, ["a"], {}),
        (both, ("a",), {"second": 5}, ["a", 5], {}),
        (both, ("a",), {"third": 5}, ["a", 2, 5], {}),
        (both, (), {"third": 5, "second": 4, "first": "a"}, ["a", 4, 5], {}),
        (named, ("a",), {"loud": True}, ["a"], {"loud": True}),
        (named, (), {"loud": True, "first": "a", "times": 2}, ["a"], {"loud": True, "times": 2}),
        (many, ("a", 1, 2), {"x": 3}, ["a", 1, 2], {"x": 3}),
        (many, (), {"first": "a", "x": 3}, ["a"], {"x": 3}),
        (steps, (), {"table": "t"}, ["t"], {}),
    ],
)
def test_a_call_is_laid_by_place_as_far_as_it_goes(
    function: Callable[..., Any], args: tuple[Any, ...], keywords: dict[str, Any], placed: list[Any], by_name: Any
) -> None:
    found = calls(function, iterable=function is steps).lay(args, keywords)

    assert found == (placed, by_name)
    assert function(*args, **keywords) == function(*placed, **by_name) or function is steps


@pytest.mark.parametrize(
    ("function", "args"),
    [(both, ()), (both, (1, 2, 3, 4)), (named, ("a",)), (many, ()), (steps, ()), (steps, ("t", 5))],
)
def test_what_does_not_fit_is_a_type_error_that_says_what_does(function: Callable[..., Any], args: Any) -> None:
    with pytest.raises(TypeError, match=r"; it takes \("):
        calls(function, iterable=function is steps).check(args)


@pytest.mark.parametrize(
    ("function", "keywords"),
    [(both, {"first": 1, "fourth": 2}), (both, {}), (named, {"first": 1}), (steps, {"table": 1, "cursor": 5})],
)
def test_names_that_do_not_fit_are_a_type_error(function: Callable[..., Any], keywords: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"; it takes \("):
        calls(function, iterable=function is steps).lay((), keywords)


def test_any_call_fits_what_does_not_tell() -> None:
    silent = calls(dict.update)
    silent.check(range(9))

    assert silent.lay((1,), {"a": 2}) == ([1], {"a": 2})
