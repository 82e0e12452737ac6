"""What a newcomer writes wrong is told where it is written, in one line that says what is right."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import kiqdoctor
from kiqdoctor.connection import UrlError
from kiqdoctor.runtime import config
from kiqdoctor.runtime.capsule import parse_queues
from kiqdoctor.runtime.job import REGISTRY


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(config._current, "settings", None)
    known = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(known)


def plain() -> None: ...


anything: Any = kiqdoctor


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: parse_queues("mail"), r"queues is a list of names, as in queues=\['mail'\]"),
        (lambda: kiqdoctor.job(tags="slow"), r"tags is a list of words, as in tags=\['slow'\]"),
        (lambda: anything.job(retry_in=5), "retry_in must be a function, not 5"),
        (lambda: anything.job(retries_exhausted="log"), "retries_exhausted must be a function, not 'log'"),
        (lambda: anything.job("mail"), r"a job is made of a function, not of 'mail'; options are named"),
        (lambda: anything.configure(on_startup=print), r"on_startup is a list of callables, as in on_startup=\[call\]"),
        (lambda: anything.configure(middleware=[1]), "middleware is a list of callables"),
        (lambda: anything.configure(death_handlers="log"), "death_handlers is a list of callables"),
        (lambda: anything.enqueue_on_commit(plain), "is none: decorate it with @job"),
        (lambda: anything.propagate("tenant"), r"propagate takes a contextvars.ContextVar, not 'tenant'"),
        (lambda: anything.job(plain).perform_in(None), "a job waits seconds or a timedelta, not None"),
        (lambda: anything.job(plain).perform_in("soon"), "a job waits seconds or a timedelta, not 'soon'"),
        (lambda: anything.job(plain).perform_at("2026-01-01"), "epoch seconds or an aware datetime, not '2026-01-01'"),
        (lambda: anything.enqueue_on_commit(anything.job(plain), at="now"), "aware datetime, not 'now'"),
        (lambda: anything.enqueue_on_commit(anything.job(plain), delay=float("nan")), "cannot be scheduled for nan"),
    ],
)
def test_it_is_told_at_once(wrong: Callable[[], Any], told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        wrong()


def test_what_is_right_passes() -> None:
    def after(count: int, error: BaseException) -> int:
        return count

    made = kiqdoctor.job(tags=["slow"], retry_in=after)(plain)
    kiqdoctor.configure(on_startup=(plain,), middleware=iter([lambda job, proceed: proceed()]))  # type: ignore[arg-type]

    assert made.options.tags == ("slow",)
    assert parse_queues(["mail"]) == (("mail", 0),)
    assert config.current().on_startup == (plain,)
    assert len(config.current().middleware) >= 1  # OpenTelemetry's, where another test imported it


def test_an_address_is_told_by_who_named_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UrlError, match=r"\(from configure\(redis=\.\.\.\)\)"):
        kiqdoctor.configure(redis="localhost")
    with pytest.raises(UrlError, match="from --redis"):
        config.override(redis="localhost", namespace=None)
    monkeypatch.setenv("REDIS_URL", "localhost")
    with pytest.raises(UrlError, match="from REDIS_URL"):
        kiqdoctor.configure()
